//! `keyswap token disable` and `keyswap token enable`: the status of a token.

use clap::Args;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::Exit;
use crate::registry::{Status, TokenPatch};

/// The arguments of `token disable` and `token enable`.
#[derive(Args)]
pub(in crate::command) struct SetStatus {
    #[command(flatten)]
    selector: Selector,
    #[command(flatten)]
    target: Target,
}

impl SetStatus {
    pub(super) fn run(self, status: Status) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        let patch = TokenPatch { status: Some(status), ..TokenPatch::default() };
        view::print(&registry.update_token(&token.digest, patch)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
