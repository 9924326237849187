//! `keyswap token show`: the record of a token.

use clap::Args;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};

/// Show the record of a token
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap token show alice-laptop --database sqlite://keyswap.db\n  \
     printf %s \"$TOKEN\" | keyswap token show - --format json"
))]
pub(crate) struct Show {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        view::print(&self.selector.find(&*registry)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
