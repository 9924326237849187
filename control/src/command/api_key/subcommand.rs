//! The subcommands of `keyswap api-key`.

use clap::Subcommand;

use super::{create, list, revoke};
use crate::command::terminal::exit::{self, Exit};

/// Manage the keys with which programs administer a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap api-key create terraform --role team_owner --team red --database sqlite://keyswap.db\n  \
     keyswap api-key create siem --role auditor --server https://keyswap.example.com"
))]
pub(in crate::command) enum Command {
    Create(create::Create),
    List(list::List),
    Revoke(revoke::Revoke),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Revoke(command) => command.run(),
        }
    }
}
