//! `keyswap token list`: the tokens of a registry.

use clap::Args;

use super::view;
use crate::command::list;
use crate::command::terminal::exit::{self, Exit};

/// List tokens, newest first
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap token list --search alice --database sqlite://keyswap.db\n  \
     keyswap token list --server https://keyswap.example.com --format json"
))]
pub(crate) struct List {
    #[command(flatten)]
    list: list::Arguments,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        self.list.run(|registry, listing| registry.tokens(listing), view::table)
    }
}
