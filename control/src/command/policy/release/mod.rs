//! Policies that data planes fetch: signing them here, with a key that no server has, and publishing them in a registry.
//!
//! A revision is never changed. Widening a candidate's share, promoting it and taking a policy back are revisions of
//! their own, so that data planes only ever go forward.

mod document;
mod keygen;
mod promote;
mod publish;
mod rollback;
mod show;
mod signing_key;
mod status;
mod wait;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use keyswap_core::policy::RolloutPolicy;
use serde_json::json;

use self::document::Document;
use self::signing_key::SigningKey;
use self::wait::Wait;
use crate::command::operations::Operations;
use crate::command::target::Target;
use crate::exit::Exit;
use crate::input;
use crate::output::{self, Format, visible};
use crate::policy_file::PolicyFile;
use crate::registry::Revision;

pub(super) use self::keygen::Keygen;
pub(super) use self::promote::Promote;
pub(super) use self::publish::Publish;
pub(super) use self::rollback::Rollback;
pub(super) use self::show::Show;
pub(super) use self::status::Status;

/// A key in PEM is some hundred bytes.
const MAX_KEY_BYTES: usize = 16 * 1024;

/// Which policy becomes another revision, with whose signature, in which registry.
#[derive(Args)]
struct Release {
    /// The name that data planes know the policy by: 1 to 64 letters, digits, `-` or `_`
    name: String,
    /// The private key that signs: a PKCS#8 file as `policy keygen` writes it; `-` is standard input
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    target: Target,
}

/// A policy in a registry that is about to have another revision.
struct Opened {
    key: SigningKey,
    registry: Box<dyn Operations>,
    newest: Option<Revision>,
}

impl Release {
    fn open(&self) -> anyhow::Result<Opened> {
        let key = SigningKey::read(&input::read(&self.key, MAX_KEY_BYTES)?)
            .with_context(|| format!("cannot sign with {}", input::name(&self.key)))?;
        let registry = self.target.open_or_make()?;
        let newest = registry.policies()?.into_iter().find(|revision| revision.name == self.name);
        Ok(Opened { key, registry, newest })
    }

    /// Signs a document and publishes it as the next revision; `number` is another than that.
    fn publish(&self, opened: &Opened, document: Document, number: Option<u64>) -> anyhow::Result<Exit> {
        let next = opened.newest.as_ref().map_or(1, |newest| newest.revision.saturating_add(1));
        let number = match number {
            Some(number) => number,
            None => u64::try_from(next)?,
        };
        let summary = document.summary();
        let document = document.into_value();
        // Whatever else made this document, what data planes would refuse is not signed.
        if let Err(errors) = RolloutPolicy::from_json(document.to_string().as_bytes()) {
            return super::report_invalid(&visible(&self.name), &errors, self.target.format);
        }
        let bundle = opened.key.sign(&self.name, number, &document)?;
        let published = opened.registry.publish(&bundle)?;
        self.tell(&published, &summary)?;
        self.wait.for_planes(&*opened.registry, &published)?;
        Ok(Exit::Ok)
    }

    fn tell(&self, published: &Revision, summary: &str) -> anyhow::Result<()> {
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
    /// The document of the newest revision.
    fn newest(&self) -> anyhow::Result<Document> {
        let Some(newest) = &self.newest else {
            bail!("there is no such policy in the registry: `keyswap policy publish` makes one");
        };
        document(&*self.registry, &newest.name, newest.revision)
    }
}

/// The document of a revision.
fn document(registry: &dyn Operations, name: &str, revision: i64) -> anyhow::Result<Document> {
    Document::of_bundle(&registry.bundle(name, revision)?)
}

/// The document in a file; how the command ends if it does not hold.
fn read(path: &Path, format: Format) -> anyhow::Result<Result<Document, Exit>> {
    let file = PolicyFile::read(path)?;
    if let Err(errors) = file.rollout() {
        return Ok(Err(super::report_invalid(&file.name, &errors, format)?));
    }
    Document::of(file.document().map_err(anyhow::Error::msg)?).map(Ok)
}
