//! `keyswap policy`: what is wrong with a policy, and what a right one decides.

mod check;
mod explain;
mod explanation;

use clap::Subcommand;
use keyswap_core::PolicyErrors;
use serde_json::json;

use crate::exit::{self, Exit};
use crate::output;

/// Check a policy, or explain what it decides
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap policy check policy.yaml\n  keyswap policy explain policy.yaml request.txt"
))]
pub(crate) enum Command {
    Check(check::Check),
    Explain(explain::Explain),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Check(command) => command.run(),
            Self::Explain(command) => command.run(),
        }
    }
}

/// Every error on a line of its own, in the words that the filter logs. They are printable as they come from the
/// engine; a parser may quote a character that is not, and no error may write to the terminal but text.
fn error_lines(errors: &PolicyErrors) -> String {
    let lines: Vec<String> = errors.0.iter().map(|error| output::visible(&error.to_string())).collect();
    lines.join("\n")
}

fn print_errors_as_json(errors: &PolicyErrors) -> anyhow::Result<()> {
    let errors: Vec<_> =
        errors.0.iter().map(|error| json!({"path": error.path, "message": error.message})).collect();
    output::print_json(&json!({"valid": false, "errors": errors}))
}

/// How many errors there are, on standard error.
fn note_count(name: &str, errors: &PolicyErrors) {
    let count = errors.0.len();
    output::note(&format!("{name}: {count} {}", if count == 1 { "error" } else { "errors" }));
}
