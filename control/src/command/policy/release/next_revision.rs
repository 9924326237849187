//! The next revision of a policy: opened, signed and published.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use keyswap_core::policy::RolloutPolicy;
use serde_json::json;

use super::document::Document;
use super::signing_key::SigningKey;
use super::wait::Wait;
use crate::command::connection::operations::Operations;
use crate::command::connection::target::Target;
use crate::command::policy::report::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::Exit;
use crate::command::terminal::input;
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::Revision;

/// The largest file of a key. A key in PEM has a few hundred bytes.
pub(super) const MAX_KEY_BYTES: usize = 16 * 1024;

/// The arguments of a new revision: the policy's name, the signing key, the registry.
#[derive(Args)]
pub(super) struct Release {
    /// Name of the policy in data planes: 1 to 64 letters, digits, `-` or `_`
    pub(super) name: String,
    /// Private key to sign with: a PKCS#8 file as `policy keygen` writes it; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    #[command(flatten)]
    pub(super) wait: Wait,
    #[command(flatten)]
    pub(super) target: Target,
}

/// An open registry, the signing key, and the newest revision of the policy.
pub(super) struct Opened {
    pub(super) key: SigningKey,
    pub(super) registry: Box<dyn Operations>,
    pub(super) newest: Option<Revision>,
}

impl Release {
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        let key = SigningKey::read(&input::read(&self.key, MAX_KEY_BYTES)?)
            .with_context(|| format!("cannot sign with {}", input::name(&self.key)))?;
        let registry = self.target.open_or_make()?;
        let newest = registry.policies()?.into_iter().find(|revision| revision.name == self.name);
        Ok(Opened { key, registry, newest })
    }

    /// Signs a document and publishes it as the next revision, or as the revision `number`.
    pub(super) fn publish(
        &self,
        opened: &Opened,
        document: Document,
        number: Option<u64>,
    ) -> anyhow::Result<Exit> {
        let next = opened.newest.as_ref().map_or(1, |newest| newest.revision.saturating_add(1));
        let number = match number {
            Some(number) => number,
            None => u64::try_from(next)?,
        };
        let summary = document.summary();
        let document = document.into_value();
        // A document that data planes would refuse is not signed.
        if let Err(errors) = RolloutPolicy::from_json(document.to_string().as_bytes()) {
            return report_invalid(&visible(&self.name), &errors, self.target.format);
        }
        let bundle = opened.key.sign(&self.name, number, &document)?;
        let published = opened.registry.publish(&bundle)?;
        self.report(&published, &summary)?;
        self.wait.for_planes(&*opened.registry, &published)?;
        Ok(Exit::Ok)
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
    /// Returns the document of the newest revision, an error if there is no revision.
    pub(super) fn newest(&self) -> anyhow::Result<Document> {
        let Some(newest) = &self.newest else {
            bail!("the registry has no such policy: `keyswap policy publish` creates it");
        };
        document(&*self.registry, &newest.name, newest.revision)
    }
}

/// Returns the document of a revision.
pub(super) fn document(registry: &dyn Operations, name: &str, revision: i64) -> anyhow::Result<Document> {
    Document::of_bundle(&registry.bundle(name, revision)?)
}

/// Reads the document in a file. If it is invalid, reports its errors and returns the exit code.
pub(super) fn read(path: &Path, format: Format) -> anyhow::Result<Result<Document, Exit>> {
    let file = PolicyFile::read(path)?;
    if let Err(errors) = file.rollout() {
        return Ok(Err(report_invalid(&file.name, &errors, format)?));
    }
    Document::of(file.document().map_err(anyhow::Error::msg)?).map(Ok)
}
