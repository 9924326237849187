//! The subcommands of `keyswap token`.

use clap::Subcommand;

use super::{create, delete, import, list, rotate, set_status, show, update};
use crate::command::terminal::exit::{self, Exit};
use crate::registry::Status;

/// Create proxy tokens, and manage the tokens of a registry
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap token create --label alice-laptop --provider openai\n  \
     keyswap token rotate alice-laptop --grace 24h --database sqlite://keyswap.db"
))]
pub(in crate::command) enum Command {
    Create(create::Create),
    List(list::List),
    Show(show::Show),
    Update(update::Update),
    Rotate(rotate::Rotate),
    /// Disable a token: requests with it are refused until it is enabled
    #[command(after_help = exit::help("  keyswap token disable alice-laptop --database sqlite://keyswap.db"))]
    Disable(set_status::SetStatus),
    /// Enable a disabled token
    #[command(after_help = exit::help("  keyswap token enable alice-laptop --database sqlite://keyswap.db"))]
    Enable(set_status::SetStatus),
    Delete(delete::Delete),
    Import(import::Import),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Update(command) => command.run(),
            Self::Rotate(command) => command.run(),
            Self::Disable(command) => command.run(Status::Disabled),
            Self::Enable(command) => command.run(Status::Active),
            Self::Delete(command) => command.run(),
            Self::Import(command) => command.run(),
        }
    }
}
