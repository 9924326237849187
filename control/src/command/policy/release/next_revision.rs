//! The next revision of a policy: built on the newest verified one, confirmed, signed and published.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use keyswap_core::base::UnixTime;
use keyswap_core::policy::RolloutPolicy;
use serde_json::json;

use super::bundle::Bundle;
use super::changes::{Read, changes};
use super::document::Document;
use super::keys::{read_private, with_own};
use super::verified::{Verified, unsigned};
use super::wait::Wait;
use crate::command::connection::operations::Operations;
use crate::command::connection::target::Target;
use crate::command::policy::report::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::rate;
use crate::command::terminal::confirm::confirm;
use crate::command::terminal::exit::Exit;
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{self, Revision, SignerKeys};
use crate::signing::SigningKey;

/// The arguments of a new revision: the policy's name, the signing key, the registry.
#[derive(Args)]
pub(super) struct Release {
    /// Name of the policy in data planes: 1 to 64 letters, digits, `-` or `_`
    pub(super) name: String,
    /// Private key to sign with: a PKCS#8 file as `policy keygen` writes it; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// Public keys of the other signers, a JWK Set, to verify what they published
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Time after which data planes do not install the revision any more, such as `12h` or `30d`, at most one year
    ///
    /// A data plane that runs it goes on and reports that it has expired.
    #[arg(long, value_name = "TIME", value_parser = rate::parse_expiry)]
    expires_in: Option<Duration>,
    /// Sign the shown changes without asking
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) target: Target,
}

/// An open registry, the keys, and the newest revision that one of them has signed.
pub(super) struct Opened {
    key: SigningKey,
    pub(super) keys: SignerKeys,
    pub(super) registry: Box<dyn Operations>,
    /// The revisions, newest first, as the registry tells them.
    pub(super) revisions: Vec<Revision>,
    newest: Option<Verified>,
    /// The revisions after the newest verified one.
    unsigned: Vec<i64>,
}

impl Release {
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        let key = read_private(&self.key)?;
        let keys = with_own(&key, self.keys.as_deref())?;
        let registry = self.target.open_or_make()?;
        let is_known = registry.policies()?.iter().any(|revision| revision.name == self.name);
        let revisions = if is_known { registry.policy(&self.name)?.revisions } else { Vec::new() };
        let (mut newest, mut unsigned) = (None, Vec::new());
        for revision in &revisions {
            newest = Verified::fetch(&*registry, &self.name, revision.revision, &keys)?;
            if newest.is_some() {
                break;
            }
            unsigned.push(revision.revision);
        }
        Ok(Opened { key, keys, registry, revisions, newest, unsigned })
    }

    /// Shows the changes, and asks for confirmation before they are signed and published.
    pub(super) fn publish_confirmed(&self, opened: &Opened, document: Document) -> anyhow::Result<Exit> {
        let newest = opened.newest()?;
        let next = match self.checked(&document)? {
            Ok(policy) => policy,
            Err(exit) => return Ok(exit),
        };
        let before = Read { document: &newest.document, policy: &newest.policy };
        let changes = changes(before, Read { document: &document, policy: &next });
        output::note(&format!("{}: from revision {}:\n{changes}", visible(&self.name), newest.revision));
        confirm("Sign and publish this?", self.yes)?;
        self.publish(opened, document, None)
    }

    /// Signs a document and publishes it as the next revision, or as the revision `number`.
    pub(super) fn publish(
        &self,
        opened: &Opened,
        document: Document,
        number: Option<u64>,
    ) -> anyhow::Result<Exit> {
        if let Err(exit) = self.checked(&document)? {
            return Ok(exit);
        }
        let next = opened.newest.as_ref().map_or(1, |newest| newest.revision.saturating_add(1));
        let summary = document.summary();
        let bundle = Bundle {
            name: &self.name,
            revision: number.unwrap_or(next),
            follows: opened.newest.as_ref().map(Verified::as_base),
            expires_at: self.expires_at(),
            policy: &document.into_value(),
        };
        let bundle = bundle.sign(&opened.key)?;
        let published = opened.registry.publish(&bundle, &opened.keys)?;
        self.report(&published, &summary)?;
        self.wait.for_planes(&*opened.registry, &published)?;
        Ok(Exit::Ok)
    }

    /// Reads the document as data planes do. A document that they would refuse is reported and not signed.
    fn checked(&self, document: &Document) -> anyhow::Result<Result<RolloutPolicy, Exit>> {
        let text = document.clone().into_value().to_string();
        match RolloutPolicy::from_json(text.as_bytes()) {
            Ok(policy) => Ok(Ok(policy)),
            Err(errors) => report_invalid(&visible(&self.name), &errors, self.target.format).map(Err),
        }
    }

    fn expires_at(&self) -> Option<UnixTime> {
        let seconds = i64::try_from(self.expires_in?.as_secs()).unwrap_or(i64::MAX);
        Some(UnixTime(registry::now().0.saturating_add(seconds)))
    }

    fn report(&self, published: &Revision, summary: &str) -> anyhow::Result<()> {
        match self.target.format {
            Format::Human => output::print(&format!(
                "{}: revision {}: {summary}",
                visible(&published.name),
                published.revision
            )),
            Format::Json => output::print_json(&json!({"published": published})),
        }
    }
}

impl Opened {
    /// Returns the newest revision. It is an error if there is none, or if none of the keys has signed it.
    pub(super) fn newest(&self) -> anyhow::Result<&Verified> {
        self.require_signed()?;
        self.newest.as_ref().context("the registry has no such policy: `keyswap policy publish` creates it")
    }

    /// Returns an error if revisions after the newest verified one are there.
    pub(super) fn require_signed(&self) -> anyhow::Result<()> {
        let Some(told) = self.revisions.first().filter(|_| !self.unsigned.is_empty()) else { return Ok(()) };
        let instead = match &self.newest {
            Some(newest) => format!("puts your own document after revision {}", newest.revision),
            None => "puts your own document in their place".to_owned(),
        };
        bail!(
            "{}, and nothing was signed: if another signer published it, pass that public key with `--keys`; if not, \
             another party has written to the registry: `keyswap policy publish {} FILE --discard-unsigned` {instead}",
            unsigned(&told.name, &self.unsigned),
            visible(&told.name)
        );
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
