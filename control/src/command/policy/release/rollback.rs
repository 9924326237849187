//! `keyswap policy rollback`: what was in force before is in force again, as a revision of its own.

use anyhow::Context as _;
use clap::Args;

use super::document::Document;
use super::next_revision::{Opened, Release, document};
use crate::command::terminal::exit::{self, Exit};

/// Take a candidate back, or else put the policy in force that was before
///
/// Without `--to`: a candidate that is tried is taken away; where there is none, the newest policy in force that differs
/// from the present one is again.
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
    /// The revision whose policy is to be in force again, with its candidate if it had one
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
        None.context("no other policy was in force before: `--to` names a revision")
    }
}
