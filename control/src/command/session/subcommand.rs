//! The subcommands of `keyswap session`.

use clap::Subcommand;

use super::{end, list, token};
use crate::command::terminal::exit::{self, Exit};

/// Print the token of this device's session, and manage the sessions of a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap session token\n  keyswap session list alice@example.com --server https://keyswap.example.com"
))]
pub(in crate::command) enum Command {
    Token(token::Token),
    List(list::List),
    End(end::End),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Token(command) => command.run(),
            Self::List(command) => command.run(),
            Self::End(command) => command.run(),
        }
    }
}
