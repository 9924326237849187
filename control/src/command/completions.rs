//! `keyswap completions`: a script that completes the command in a shell.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::{self, Exit};
use crate::output;

/// Print a script that completes this command in a shell
#[derive(Args)]
#[command(after_help = exit::help("  source <(keyswap completions bash)"))]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "keyswap", &mut script);
        output::print(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Ok)
    }
}
