//! `keyswap completions`: a script that completes the command in a shell.

use clap::Args;
use clap_complete::Shell;

use super::terminal::exit::{self, Exit};
use super::terminal::output;

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = exit::help("  source <(keyswap completions bash)"))]
pub(crate) struct Completions {
    /// Shell to complete in
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, program: &mut clap::Command) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, program, "keyswap", &mut script);
        output::print(String::from_utf8_lossy(&script).trim_end())?;
        Ok(Exit::Ok)
    }
}
