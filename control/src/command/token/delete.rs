//! `keyswap token delete`: takes a token out of a registry, for good.

use clap::Args;
use serde_json::json;

use super::selector::Selector;
use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

/// Take a token out of the registry, for good
#[derive(Args)]
#[command(after_help = exit::help("  keyswap token delete alice-laptop --yes --database sqlite://keyswap.db"))]
pub(crate) struct Delete {
    #[command(flatten)]
    selector: Selector,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Delete {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let token = self.selector.find(&*registry)?;
        let name = format!("{} {}", token.id(), visible(&token.label));
        confirm(&format!("Delete the token {name}?"), self.yes)?;
        registry.delete_token(&token.digest)?;
        match self.target.format {
            Format::Human => output::print(&format!("deleted {name}"))?,
            Format::Json => output::print_json(&json!({"deleted": token.digest.to_hex()}))?,
        }
        Ok(Exit::Ok)
    }
}
