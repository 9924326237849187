//! `keyswap policy trust`: the public keys that a registry accepts revisions of a policy from.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::keys::{read_private, read_public};
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{RegistryError, SIGNERS_TYPE, SignersChange};

/// Register the public keys that may sign a policy, in place of the present ones
///
/// The first `policy publish` of a name registers its keys. Later only a registered key changes them (`--key`), or the
/// owner of the database (`--database`). A registry refuses revisions that no registered key has signed. Data planes have
/// keys of their own configuration.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy trust <NAME> --keys <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy trust prod --keys both-keys.json --key policy.key --server https://keyswap.example.com\n  \
         keyswap policy trust prod --keys policy-keys.json --database sqlite://keyswap.db"
    )
)]
pub(crate) struct Trust {
    /// Name of the policy
    name: String,
    /// Public keys to register, a JWK Set as `policy keygen` prints it
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Private key that the registry knows, which signs the change
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Trust {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let keys = read_public(&self.keys)?;
        let key = self.key.as_deref().map(read_private).transpose()?;
        let registry = self.target.open_or_make()?;
        let signers = match key {
            None => registry.trust(&self.name, &keys)?,
            Some(key) => {
                let present = registry.policy(&self.name)?.signers.ok_or(RegistryError::NoSigners)?;
                let change = SignersChange {
                    name: self.name.clone(),
                    version: present.version.saturating_add(1),
                    keys: keys.document().clone(),
                };
                let request = key.sign(SIGNERS_TYPE, &serde_json::to_value(change)?)?;
                registry.trust_signed(&self.name, &request)?
            }
        };
        match self.target.format {
            Format::Human => output::print(&format!(
                "{}: version {} of the keys: {}",
                visible(&self.name),
                signers.version,
                visible(&keys.kids().join(", "))
            ))?,
            Format::Json => output::print_json(&json!({"name": self.name, "signers": signers}))?,
        }
        Ok(Exit::Ok)
    }
}
