//! `keyswap policy show`: the document of a revision.

use anyhow::Context as _;
use clap::Args;

use super::next_revision::document;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};

/// Print the policy document of a revision
#[derive(Args)]
#[command(
    override_usage = "keyswap policy show <NAME> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy show prod --server https://keyswap.example.com > policy.yaml\n  \
         keyswap policy show prod --revision 12 --format json"
    )
)]
pub(crate) struct Show {
    /// Name of the policy
    name: String,
    /// Revision to print (default: the newest)
    #[arg(long, value_name = "NUMBER")]
    revision: Option<i64>,
    #[command(flatten)]
    target: Target,
}

impl Show {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        let revision = match self.revision {
            Some(revision) => revision,
            None => {
                registry.policy(&self.name)?.revisions.first().context("no revision is published")?.revision
            }
        };
        let document = document(&*registry, &self.name, revision)?.into_value();
        match self.target.format {
            Format::Human => output::print(serde_saphyr::to_string(&document)?.trim_end())?,
            Format::Json => output::print_json(&document)?,
        }
        Ok(Exit::Ok)
    }
}
