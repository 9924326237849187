//! `keyswap token list`: the tokens of a registry.

use clap::{Args, ValueEnum};

use super::view;
use crate::command::list;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::Attention;

/// List tokens, newest first
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap token list --search alice --database sqlite://keyswap.db\n  \
     keyswap token list --server https://keyswap.example.com --format json"
))]
pub(crate) struct List {
    #[command(flatten)]
    list: list::Arguments,
    /// Show only active tokens that need attention
    #[arg(long, value_enum)]
    attention: Option<AttentionName>,
}

/// The attention that tokens need.
#[derive(Clone, Copy, ValueEnum)]
enum AttentionName {
    /// Tokens that expire within 7 days, and have no successor
    Expiring,
    /// Tokens older than 30 days, without a request in the last 30 days
    Unused,
    /// Tokens without an owner
    Unowned,
}

impl From<AttentionName> for Attention {
    fn from(name: AttentionName) -> Self {
        match name {
            AttentionName::Expiring => Self::Expiring,
            AttentionName::Unused => Self::Unused,
            AttentionName::Unowned => Self::Unowned,
        }
    }
}

impl List {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let attention = self.attention.map(Attention::from);
        self.list.run(attention, |registry, listing| registry.tokens(listing), view::table)
    }
}
