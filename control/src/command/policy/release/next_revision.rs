//! The next revision of a policy: built on the newest verified one, confirmed, signed and published.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use keyswap_core::base::UnixTime;
use keyswap_core::policy::RolloutPolicy;

use super::bundle::Bundle;
use super::changes::{Read, changes};
use super::document::Document;
use super::signer::{Opened, Signer};
use super::verified::Verified;
use crate::command::policy::report::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::rate;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::{self, Format, visible};
use crate::registry;

/// The arguments of a new revision.
#[derive(Args)]
pub(super) struct Release {
    #[command(flatten)]
    pub(super) signer: Signer,
    /// Time after which data planes do not install the revision any more, such as `12h` or `30d`, at most one year
    ///
    /// A data plane that runs it goes on and reports that it has expired.
    #[arg(long, value_name = "TIME", value_parser = rate::parse_expiry)]
    expires_in: Option<Duration>,
}

impl Release {
    /// Signs a document and publishes it as the next revision, or as the revision `number`. Shows the changes from the newest
    /// revision first, and asks.
    pub(super) fn publish(
        &self,
        opened: &Opened,
        document: Document,
        number: Option<u64>,
    ) -> anyhow::Result<Exit> {
        let policy = match self.checked(&document)? {
            Ok(policy) => policy,
            Err(exit) => return Ok(exit),
        };
        if let Some(newest) = &opened.newest {
            let before = Read { document: &newest.document, policy: &newest.policy };
            let changes = changes(before, Read { document: &document, policy: &policy });
            let name = visible(&self.signer.name);
            output::note(&format!("{name}: from revision {}:\n{changes}", newest.revision));
            confirm("Sign and publish this?", self.signer.yes)?;
        }
        let next = opened.newest.as_ref().map_or(1, |newest| newest.revision.saturating_add(1));
        let summary = document.summary();
        let bundle = Bundle {
            name: &self.signer.name,
            revision: number.unwrap_or(next),
            follows: opened.newest.as_ref().map(Verified::as_base),
            expires_at: self.expires_at(),
            policy: &document.into_value(),
        };
        let bundle = bundle.sign(&opened.key)?;
        let signed = opened.registry.publish(&bundle, &opened.keys)?;
        self.signer.report(opened, &signed, &summary)?;
        Ok(Exit::Ok)
    }

    /// Reads the document as data planes do. A document that they would refuse is reported and not signed.
    fn checked(&self, document: &Document) -> anyhow::Result<Result<RolloutPolicy, Exit>> {
        let text = document.clone().into_value().to_string();
        match RolloutPolicy::from_json(text.as_bytes()) {
            Ok(policy) => Ok(Ok(policy)),
            Err(errors) => {
                report_invalid(&visible(&self.signer.name), &errors, self.signer.target.format).map(Err)
            }
        }
    }

    fn expires_at(&self) -> Option<UnixTime> {
        let seconds = i64::try_from(self.expires_in?.as_secs()).unwrap_or(i64::MAX);
        Some(UnixTime(registry::now().0.saturating_add(seconds)))
    }
}

/// Reads the document in a file. If it is invalid, reports its errors and returns the exit code.
pub(super) fn read(path: &Path, format: Format) -> anyhow::Result<Result<Document, Exit>> {
    let file = PolicyFile::read(path)?;
    if let Err(errors) = file.rollout() {
        return Ok(Err(report_invalid(&file.name, &errors, format)?));
    }
    Document::of(file.document().map_err(anyhow::Error::msg)?).map(Ok)
}
