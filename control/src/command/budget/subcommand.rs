//! The subcommands of `keyswap budget`.

use clap::Subcommand;

use super::{delete, list, set, show};
use crate::command::terminal::exit::{self, Exit};

/// Manage the budgets of tokens, owners and teams in a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap budget set team:research --usd 500 --per month --timezone Europe/Berlin --database sqlite://keyswap.db"
))]
pub(in crate::command) enum Command {
    Set(set::Set),
    List(list::List),
    Show(show::Show),
    Delete(delete::Delete),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Set(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Delete(command) => command.run(),
        }
    }
}
