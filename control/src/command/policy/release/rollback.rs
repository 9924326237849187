//! `keyswap policy rollback`: a return to an earlier policy, as a new revision.

use anyhow::Context as _;
use clap::Args;

use super::document::Document;
use super::next_revision::{Opened, Release, document};
use crate::command::terminal::exit::{self, Exit};

/// Remove the candidate, or roll back to an earlier policy
///
/// Without `--to`, removes the candidate. Without a candidate, rolls back to the newest earlier policy that differs
/// from the one in force. Either way the result is a new revision.
#[derive(Args)]
#[command(
    override_usage = "keyswap policy rollback <NAME> --key <FILE> [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy rollback prod --key policy.key\n  keyswap policy rollback prod --to 12 --key policy.key"
    )
)]
pub(crate) struct Rollback {
    #[command(flatten)]
    release: Release,
    /// Revision to roll back to, with its candidate if it has one
    #[arg(long, value_name = "REVISION")]
    to: Option<i64>,
}

impl Rollback {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let opened = self.release.open()?;
        let newest = opened.newest()?;
        let document = match self.to {
            Some(revision) => document(&*opened.registry, &self.release.name, revision)?,
            None if newest.candidate.is_some() => newest.without_candidate(),
            None => self.before(&opened, &newest)?,
        };
        self.release.publish(&opened, document, None)
    }

    fn before(&self, opened: &Opened, newest: &Document) -> anyhow::Result<Document> {
        for revision in opened.registry.policy(&self.release.name)?.revisions.iter().skip(1) {
            let document = document(&*opened.registry, &revision.name, revision.revision)?;
            if document.stable != newest.stable {
                return Ok(document.without_candidate());
            }
        }
        None.context("there is no earlier policy that differs: pass a revision with `--to`")
    }
}
