//! `keyswap policy`: what is wrong with a policy, what a right one decides, what a change of it changes; and how it gets to
//! data planes.

mod check;
mod diff;
mod explain;
mod explanation;
mod import;
mod lint;
mod placeholders;
mod release;
mod schema;
mod test;
mod variables;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::Subcommand;
use keyswap_core::base::{Moment, UnixTime};
use keyswap_core::policy::PolicyErrors;
use serde_json::json;

pub(crate) use self::variables::variables;
use crate::exit::{self, Exit};
use crate::output::{self, Format};

/// Check a policy, explain what it decides, test it, compare it with another; publish it, step by step
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap policy check policy.yaml\n  keyswap policy explain policy.yaml request.txt\n  \
     keyswap policy test policy.yaml\n  keyswap policy diff old.yaml new.yaml --requests access.log\n  \
     keyswap policy publish prod policy.yaml --key policy.key"
))]
pub(crate) enum Command {
    Check(check::Check),
    Explain(explain::Explain),
    Test(test::Test),
    Diff(diff::Diff),
    Lint(lint::LintPolicy),
    Schema(schema::Schema),
    #[command(subcommand)]
    Import(import::Command),
    Keygen(release::Keygen),
    Publish(release::Publish),
    Promote(release::Promote),
    Rollback(release::Rollback),
    Status(release::Status),
    Show(release::Show),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Check(command) => command.run(),
            Self::Explain(command) => command.run(),
            Self::Test(command) => command.run(),
            Self::Diff(command) => command.run(),
            Self::Lint(command) => command.run(),
            Self::Schema(command) => command.run(),
            Self::Import(command) => command.run(),
            Self::Keygen(command) => command.run(),
            Self::Publish(command) => command.run(),
            Self::Promote(command) => command.run(),
            Self::Rollback(command) => command.run(),
            Self::Status(command) => command.run(),
            Self::Show(command) => command.run(),
        }
    }
}

/// The errors of a policy where they are not what was asked for, so they do not go where an answer would.
pub(super) fn report_invalid(name: &str, errors: &PolicyErrors, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Human => {
            output::note(&error_lines(errors));
            note_count(name, errors);
        }
        Format::Json => print_errors_as_json(errors)?,
    }
    Ok(Exit::Invalid)
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
    output::note(&format!("{name}: {}", count(errors.0.len(), "error")));
}

/// So many of something.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The time that was asked for, else now.
fn time(at: Option<&str>) -> anyhow::Result<Moment> {
    let Some(text) = at else {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
    };
    match UnixTime::from_rfc3339(text) {
        Some(time) => Ok(Moment::from(time)),
        None => bail!(
            "invalid time `{}`: expected one with an offset such as `2027-06-30T00:00:00Z`",
            output::visible(text)
        ),
    }
}
