//! `keyswap user delete`: removes a user from a registry permanently.

use clap::Args;
use serde_json::json;

use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

/// Delete a user from the registry permanently
#[derive(Args)]
#[command(after_help = exit::help("  keyswap user delete alice@example.com --yes --database sqlite://keyswap.db"))]
pub(crate) struct Delete {
    /// Email address of the user
    email: String,
    /// Delete without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Delete {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let email = registry.user(&self.email)?.email;
        let name = visible(&email);
        confirm(&format!("Delete the user {name}? This cannot be undone."), self.yes)?;
        registry.delete_user(&email)?;
        match self.target.format {
            Format::Human => output::print(&format!("deleted {name}"))?,
            Format::Json => output::print_json(&json!({"deleted": email}))?,
        }
        Ok(Exit::Ok)
    }
}
