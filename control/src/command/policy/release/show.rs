//! `keyswap policy show`: the document of a revision.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::keys::read_public;
use super::verified::Verified;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};

/// Print the policy document of a revision, after verifying who signed it
#[derive(Args)]
#[command(
    override_usage = "keyswap policy show <NAME> --keys <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy show prod --keys policy-keys.json --server https://keyswap.example.com > policy.yaml\n  \
         keyswap policy show prod --keys policy-keys.json --revision 12 --format json"
    )
)]
pub(crate) struct Show {
    /// Name of the policy
    name: String,
    /// Public keys of the signers, a JWK Set as `policy keygen` prints it
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Revision to print (default: the newest)
    #[arg(long, value_name = "NUMBER")]
    revision: Option<i64>,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let keys = read_public(&self.keys)?;
        let registry = self.target.open()?;
        let revision = match self.revision {
            Some(revision) => revision,
            None => {
                registry.policy(&self.name)?.revisions.first().context("no revision is published")?.revision
            }
        };
        let verified = Verified::require(&*registry, &self.name, revision, &keys)?;
        let document = verified.document.into_value();
        match self.target.format {
            Format::Human => output::print(serde_saphyr::to_string(&document)?.trim_end())?,
            Format::Json => output::print_json(&document)?,
        }
        Ok(Exit::Ok)
    }
}
