//! The subcommands of `keyswap user`.

use clap::Subcommand;

use super::{create, delete, list, offboard, show, update};
use crate::command::terminal::exit::{self, Exit};

/// Manage the users of a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap user create alice@example.com --provider openai --database sqlite://keyswap.db"
))]
pub(in crate::command) enum Command {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Update(update::Update),
    Offboard(offboard::Offboard),
    Delete(delete::Delete),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Update(command) => command.run(),
            Self::Offboard(command) => command.run(),
            Self::Delete(command) => command.run(),
        }
    }
}
