//! `keyswap policy trust`: the public keys that a registry accepts revisions of a policy from.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::keys::{read_private, read_public};
use super::name;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{Progress, RegistryError, SIGNERS_TYPE, SignersChange};

/// Register the public keys that may sign a policy, in place of the present ones
///
/// The first `policy publish` of a name registers its keys. Later only registered keys change them (`--key`), as many as
/// are required, or the owner of the database (`--database`). With `--required` a revision is in force once so many keys
/// have signed it, and a change of the keys likewise: each signer runs the same command with the same file. Data planes
/// have keys, and a number, of their own configuration.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy trust <NAME> --keys <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy trust prod --keys both-keys.json --key policy.key --server https://keyswap.example.com\n  \
         keyswap policy trust prod --keys policy-keys.json --database sqlite://keyswap.db"
    )
)]
pub(crate) struct Trust {
    /// Name of the policy in data planes: 1 to 64 letters, digits, `-` or `_`
    #[arg(value_parser = name::parse)]
    name: String,
    /// Public keys to register, a JWK Set as `policy keygen` prints it
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Number of keys that must sign each revision, at most that of the keys (default: `required` in the file, or 1)
    #[arg(long, value_name = "NUMBER")]
    required: Option<usize>,
    /// Private key that the registry knows, which signs the change
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

impl Trust {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let keys = read_public(&self.keys)?;
        let keys = self.required.map_or_else(|| Ok(keys.clone()), |required| keys.requiring(required))?;
        let key = self.key.as_deref().map(read_private).transpose()?;
        let registry = self.target.open_or_make()?;
        let changed = match key {
            None => {
                let change = registry.trust(&self.name, &keys)?;
                Progress { change, signed_by: Vec::new(), required: 0 }
            }
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
            Format::Human => {
                let Progress { change, signed_by, required } = &changed;
                let proposed = if changed.is_complete() {
                    String::new()
                } else {
                    let count = required.saturating_sub(signed_by.len());
                    format!(" is proposed: {count} of {required} signatures missing, of registered keys")
                };
                let needed = match keys.required() {
                    1 => String::new(),
                    number => format!("; {number} must sign"),
                };
                output::print(&format!(
                    "{}: version {} of the keys{proposed}: {}{needed}",
                    visible(&self.name),
                    change.version,
                    visible(&keys.kids().join(", "))
                ))?;
            }
            Format::Json if changed.is_complete() => {
                output::print_json(&json!({"name": self.name, "signers": changed.change}))?;
            }
            Format::Json => output::print_json(&json!({"name": self.name, "proposed": changed}))?,
        }
        Ok(Exit::Ok)
    }
}
