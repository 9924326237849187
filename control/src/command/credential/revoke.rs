//! `keyswap credential revoke`: ends a credential of a registry permanently.

use anyhow::{bail, ensure};
use clap::Args;
use serde_json::json;

use super::view;
use crate::command::connection::target::Target;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::registry::{Credential, RegistryError};

/// The fewest digits of a SHA-256 that select a credential.
const MIN_DIGITS: usize = 8;

/// Revoke a credential: requests with it are refused at once
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap credential revoke 3f2a91c07d5e8b16 --yes --database sqlite://keyswap.db"
))]
pub(crate) struct Revoke {
    /// Name of the credential, or the first 8 or more digits of its SHA-256
    #[arg(value_name = "CREDENTIAL")]
    selector: String,
    /// Select the older one of two credentials of this name
    #[arg(long)]
    older: bool,
    /// Revoke without asking for confirmation
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    target: Target,
}

impl Revoke {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let credential = self.select(registry.credentials()?)?;
        let name = format!("{} {}", credential.id(), credential.name);
        let seen = credential.last_seen.map_or_else(|| "never".to_owned(), |at| format!("at {at}"));
        confirm(&format!("Revoke the credential {name}, last seen {seen}?"), self.yes)?;
        registry.revoke_credential(&credential.digest)?;
        match self.target.format {
            Format::Human => output::print(&format!("revoked {name}"))?,
            Format::Json => output::print_json(&json!({"revoked": credential.digest.to_hex()}))?,
        }
        Ok(Exit::Ok)
    }

    /// Returns the selected credential. No match, or more than one, is an error that does not quote the argument: it
    /// may be a credential.
    fn select(&self, all: Vec<Credential>) -> anyhow::Result<Credential> {
        let digits = self.selector.to_ascii_lowercase();
        let is_digest = |credential: &Credential| {
            digits.len() >= MIN_DIGITS && credential.digest.to_hex().starts_with(&digits)
        };
        let is_named = |credential: &Credential| credential.name == self.selector;
        if self.older {
            // A registry lists older ones first.
            let of_name: Vec<Credential> = all.into_iter().filter(is_named).collect();
            ensure!(of_name.len() != 1, "the name has one credential only, which no other replaces");
            return Ok(of_name.into_iter().next().ok_or(RegistryError::UnknownCredential)?);
        }
        let mut matches: Vec<Credential> =
            all.into_iter().filter(|credential| is_named(credential) || is_digest(credential)).collect();
        match (matches.pop(), matches.len()) {
            (None, _) => Err(RegistryError::UnknownCredential.into()),
            (Some(credential), 0) => Ok(credential),
            (Some(last), _) => {
                matches.push(last);
                let table = view::table(&matches).to_text();
                bail!("{} credentials match: select one by digits of its SHA-256\n{table}", matches.len())
            }
        }
    }
}
