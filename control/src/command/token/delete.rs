//! `keyswap token delete`: removes a token from a registry permanently.

use clap::Args;
use serde_json::json;

use super::selector::Selector;
use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

/// Delete a token from the registry permanently
#[derive(Args)]
#[command(after_help = exit::help("  keyswap token delete alice-laptop --yes --database sqlite://keyswap.db"))]
pub(crate) struct Delete {
    #[command(flatten)]
    selector: Selector,
    /// Delete without asking for confirmation
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
        confirm(&format!("Delete the token {name}? This cannot be undone."), self.yes)?;
        registry.delete_token(&token.digest)?;
        match self.target.format {
            Format::Human => output::print(&format!("deleted {name}"))?,
            Format::Json => output::print_json(&json!({"deleted": token.digest.to_hex()}))?,
        }
        Ok(Exit::Ok)
    }
}
