//! `keyswap api-key revoke`: ends an API key of a registry permanently.

use clap::Args;
use serde_json::json;

use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::RegistryError;

/// Revoke an API key: requests with it are refused at once
#[derive(Args)]
#[command(after_help = exit::help("  keyswap api-key revoke terraform --yes --database sqlite://keyswap.db"))]
pub(crate) struct Revoke {
    /// Name of the key
    name: String,
    /// Revoke without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Revoke {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        // The error does not quote the argument: it may be a key.
        let key = registry.api_keys()?.into_iter().find(|key| key.name == self.name);
        let key = key.ok_or(RegistryError::UnknownApiKey)?;
        let seen = key.last_seen.map_or_else(|| "never".to_owned(), |at| format!("at {at}"));
        confirm(&format!("Revoke the API key {} ({}), last seen {seen}?", key.name, key.role), self.yes)?;
        registry.revoke_api_key(&key.digest)?;
        match self.target.format {
            Format::Human => output::print(&format!("revoked {} {}", key.id(), key.name))?,
            Format::Json => output::print_json(&json!({"revoked": key.digest.to_hex()}))?,
        }
        Ok(Exit::Ok)
    }
}
