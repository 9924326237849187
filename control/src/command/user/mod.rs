//! `keyswap user`: people who sign in elsewhere and are known by their email address.

mod create;
mod delete;
mod list;
mod show;
mod update;
mod view;

use clap::Subcommand;

use crate::exit::{self, Exit};

/// Look after the users in a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap user create alice@example.com --provider openai --database sqlite://keyswap.db"
))]
pub(crate) enum Command {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Update(update::Update),
    Delete(delete::Delete),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Update(command) => command.run(),
            Self::Delete(command) => command.run(),
        }
    }
}
