//! `keyswap token`: proxy tokens.

mod create;

use clap::Subcommand;

use crate::exit::{self, Exit};

/// Mint proxy tokens
#[derive(Subcommand)]
#[command(after_help = exit::help("  keyswap token create --label alice-laptop --provider openai"))]
pub(crate) enum Command {
    Create(create::Create),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Create(command) => command.run(),
        }
    }
}
