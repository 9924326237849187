//! The subcommands of `keyswap prices`.

use clap::Subcommand;

use super::{show, update};
use crate::command::terminal::exit::{self, Exit};

/// Show and update the prices of models
#[derive(Subcommand)]
#[command(after_help = exit::help(
    "  keyswap prices show gpt-5 anthropic/claude-sonnet-5\n  \
     keyswap prices update model_prices_and_context_window.json --policy policy.yaml"
))]
pub(in crate::command) enum Command {
    Show(show::Show),
    Update(update::Update),
}

impl Command {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Show(command) => command.run(),
            Self::Update(command) => command.run(),
        }
    }
}
