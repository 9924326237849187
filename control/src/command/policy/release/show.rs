//! `keyswap policy show`: the document of a revision.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::keys::read_public;
use super::signatures::missing;
use super::verified::Verified;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

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
    #[arg(long, value_name = "NUMBER", conflicts_with = "proposal")]
    revision: Option<i64>,
    /// Print the revision that waits for signatures
    #[arg(long)]
    proposal: bool,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let keys = read_public(&self.keys)?;
        let registry = self.target.open()?;
        let verified = if self.proposal {
            let text = registry.proposal(&self.name)?;
            let verified = Verified::of(&text, &self.name, keys.any())?;
            let verified = verified.context("none of these keys has signed the proposed revision")?;
            let words = missing(&verified.signed_by, keys.required(), &keys);
            output::note(&format!("revision {}: {words}", verified.revision));
            verified
        } else {
            let status = registry.policy(&self.name)?;
            let newest = status.revisions.first().map(|newest| newest.revision);
            let revision = self.revision.or(newest).context("no revision is published")?;
            let verified = Verified::require(&*registry, &self.name, revision, &keys)?;
            let signed_by = visible(&verified.signed_by.join(", "));
            output::note(&format!(
                "revision {revision}: signed by {signed_by}; {} required",
                keys.required()
            ));
            verified
        };
        let document = verified.document.into_value();
        match self.target.format {
            Format::Human => output::print(serde_saphyr::to_string(&document)?.trim_end())?,
            Format::Json => output::print_json(&document)?,
        }
        Ok(Exit::Ok)
    }
}
