//! `keyswap token disable`: takes a token back.

use clap::Args;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::Status;

/// Take a token back, until it is enabled again
#[derive(Args)]
#[command(after_help = exit::help("  keyswap token disable alice-laptop --database sqlite://keyswap.db"))]
pub(crate) struct Disable {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    target: Target,
}

impl Disable {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        view::print(&registry.set_token_status(&token.digest, Status::Disabled)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
