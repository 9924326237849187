//! The subcommands of `keyswap object`.

use clap::Subcommand;

use super::{adopt, forget, list, show, transfer};
use crate::command::terminal::exit::{self, Exit};

/// Manage the objects that callers keep at providers: files, batches, responses and the like
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap object list --provider openai --database sqlite://keyswap.db\n  \
     keyswap object adopt openai file-abc123 --for token:ci --database sqlite://keyswap.db"
))]
pub(in crate::command) enum Command {
    List(list::List),
    Show(show::Show),
    Adopt(adopt::Adopt),
    Transfer(transfer::Transfer),
    Forget(forget::Forget),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Adopt(command) => command.run(),
            Self::Transfer(command) => command.run(),
            Self::Forget(command) => command.run(),
        }
    }
}
