//! The subcommands of `keyswap token`.

use clap::Subcommand;

use super::{create, delete, disable, enable, import, list, rotate, show};
use crate::command::terminal::exit::{self, Exit};

/// Mint proxy tokens, and look after those in a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap token create --label alice-laptop --provider openai\n  \
     keyswap token rotate alice-laptop --grace 24h --database sqlite://keyswap.db"
))]
pub(in crate::command) enum Command {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Rotate(rotate::Rotate),
    Disable(disable::Disable),
    Enable(enable::Enable),
    Delete(delete::Delete),
    Import(import::Import),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Rotate(command) => command.run(),
            Self::Disable(command) => command.run(),
            Self::Enable(command) => command.run(),
            Self::Delete(command) => command.run(),
            Self::Import(command) => command.run(),
        }
    }
}
