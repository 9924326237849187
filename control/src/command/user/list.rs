//! `keyswap user list`: the users of a registry.

use clap::Args;

use super::view;
use crate::command::list;
use crate::command::terminal::exit::{self, Exit};

/// List users, newest first
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap user list --status disabled --database sqlite://keyswap.db\n  \
     keyswap user list --server https://keyswap.example.com --format json"
))]
pub(crate) struct List {
    #[command(flatten)]
    list: list::Arguments,
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        self.list.run(None, |registry, listing| registry.users(listing), view::table)
    }
}
