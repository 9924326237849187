//! The subcommands of `keyswap credential`.

use clap::Subcommand;

use super::{create, list, revoke, rotate};
use crate::command::terminal::exit::{self, Exit};

/// Manage the credentials with which data planes and introspection clients authenticate to a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap credential create istio-prod --database sqlite://keyswap.db\n  \
     keyswap credential create billing --role introspection --server https://keyswap.example.com"
))]
pub(in crate::command) enum Command {
    Create(create::Create),
    List(list::List),
    Rotate(rotate::Rotate),
    Revoke(revoke::Revoke),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Rotate(command) => command.run(),
            Self::Revoke(command) => command.run(),
        }
    }
}
