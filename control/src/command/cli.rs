//! The command line: what can be asked, and how an answer becomes an exit code.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

use super::subcommand::Command;
use super::terminal::exit::{self, Exit};
use super::terminal::output;

/// Check and explain Keyswap policies, mint proxy tokens, keep them in a registry.
///
/// Keyswap lets people, apps and agents call LLM providers with a proxy token in place of the real key.
#[derive(Parser)]
#[command(
    name = "keyswap",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = exit::help(
        "  keyswap policy check policy.yaml\n  keyswap token create --label alice-laptop --provider openai"
    )
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Does what the command line asks.
pub(crate) fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return show(&answer),
    };
    cli.command.run(Cli::command).unwrap_or_else(|error| {
        for line in format!("{error:#}").lines() {
            output::note(&format!("error: {line}"));
        }
        Exit::Failure
    })
}

/// Prints help, version or an error of usage. Wrong usage is 1 here and not clap's own 2.
fn show(answer: &clap::Error) -> Exit {
    // There is no other place to tell that this cannot be written.
    let _ = answer.print();
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ => Exit::Failure,
    }
}
