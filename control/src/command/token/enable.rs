//! `keyswap token enable`: gives a disabled token again.

use clap::Args;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::registry::Status;

/// Give a disabled token again
#[derive(Args)]
#[command(after_help = exit::help("  keyswap token enable alice-laptop --database sqlite://keyswap.db"))]
pub(crate) struct Enable {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    target: Target,
}

impl Enable {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        view::print(&registry.set_token_status(&token.digest, Status::Active)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
