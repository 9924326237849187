//! `keyswap token`: proxy tokens.

mod create;
mod delete;
mod disable;
mod enable;
mod import;
mod list;
mod rotate;
mod selector;
mod show;
mod stdin;
mod view;

use clap::Subcommand;

use crate::exit::{self, Exit};

/// Mint proxy tokens, and look after those in a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap token create --label alice-laptop --provider openai\n  \
     keyswap token rotate alice-laptop --grace 24h --database sqlite://keyswap.db"
))]
pub(crate) enum Command {
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
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
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
