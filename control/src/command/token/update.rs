//! `keyswap token update`: the team of a token.

use clap::Args;

use super::selector::Selector;
use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};

/// Move a token to another team
///
/// A policy may bind a credential to a team: data planes then use that of the new team within seconds.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap token update alice-laptop --team research --database sqlite://keyswap.db"
))]
pub(crate) struct Update {
    #[command(flatten)]
    selector: Selector,
    /// New team of the token; an empty text removes the token from its team
    #[arg(long, value_name = "NAME")]
    team: String,
    #[command(flatten)]
    target: Target,
}

impl Update {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        view::print(&registry.set_token_team(&token.digest, &self.team)?, self.target.format)?;
        Ok(Exit::Ok)
    }
}
