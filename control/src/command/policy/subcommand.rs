//! The subcommands of `keyswap policy`.

use clap::Subcommand;

use super::{check, diff, explain, import, lint, release, schema, test};
use crate::command::terminal::exit::{self, Exit};

/// Check, explain, test, compare and publish policies
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap policy check policy.yaml\n  keyswap policy explain policy.yaml request.txt\n  \
     keyswap policy test policy.yaml\n  keyswap policy diff old.yaml new.yaml --requests access.log\n  \
     keyswap policy publish prod policy.yaml --key policy.key"
))]
pub(in crate::command) enum Command {
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
    Sign(release::Sign),
    Trust(release::Trust),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
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
            Self::Sign(command) => command.run(),
            Self::Trust(command) => command.run(),
        }
    }
}
