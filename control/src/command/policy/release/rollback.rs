//! `keyswap policy rollback`: a return to an earlier policy, as a new revision.

use anyhow::Context as _;
use clap::Args;

use super::document::Document;
use super::next_revision::Release;
use super::signer::Opened;
use super::verified::Verified;
use crate::command::terminal::exit::{self, Exit};

/// Remove the candidate, or roll back to an earlier policy
///
/// Without `--to`, removes the candidate. Without a candidate, rolls back to the newest earlier policy that differs
/// from the one in force. Either way the result is a new revision. Shows the changes and asks before it signs.
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
        let opened = self.release.signer.open()?;
        let newest = opened.newest()?;
        let fetch = |revision| {
            Verified::require(&*opened.registry, &self.release.signer.name, revision, &opened.keys)
        };
        let document = match self.to {
            Some(revision) => fetch(revision)?.document,
            None if newest.document.candidate.is_some() => newest.document.clone().without_candidate(),
            None => before(&opened, newest, &fetch)?,
        };
        self.release.publish(&opened, document, None)
    }
}

/// Returns the newest earlier document whose stable policy differs.
fn before(
    opened: &Opened,
    newest: &Verified,
    fetch: &dyn Fn(i64) -> anyhow::Result<Verified>,
) -> anyhow::Result<Document> {
    for revision in opened.revisions.iter().skip(1) {
        let document = fetch(revision.revision)?.document;
        if document.stable != newest.document.stable {
            return Ok(document.without_candidate());
        }
    }
    None.context("there is no earlier policy that differs: pass a revision with `--to`")
}
