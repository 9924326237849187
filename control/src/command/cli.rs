//! The command line: its subcommands, and the exit code of each outcome.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

use super::subcommand::Command;
use super::terminal::exit::{self, Exit};
use super::terminal::output;

/// Check and explain Keyswap policies, mint proxy tokens, serve a token registry
///
/// Keyswap lets people, apps and agents call LLM providers with a proxy token in place of the provider's key.
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

/// Runs the subcommand that the process's arguments name. Errors go to standard error, a line each.
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

/// Prints help, version or a usage error. Wrong usage exits with 1 instead of clap's 2, which means "refused" here.
fn show(answer: &clap::Error) -> Exit {
    // An error of the last output stream has no place to be reported.
    let _ = answer.print();
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ => Exit::Failure,
    }
}
