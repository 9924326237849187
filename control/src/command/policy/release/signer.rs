//! The party that signs: its key, the keys that it trusts, and the newest revision that those have signed.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use serde_json::json;

use super::keys::{read_private, with_own};
use super::name;
use super::signatures::{missing, unsigned};
use super::verified::Verified;
use super::wait::Wait;
use crate::command::connection::operations::Operations;
use crate::command::connection::target::Target;
use crate::command::terminal::output::{self, Format, visible};
use crate::registry::{Progress, Revision, SignerKeys};
use crate::signing::SigningKey;

/// The arguments of a signature: the policy's name, the signing key, the registry.
#[derive(Args)]
pub(super) struct Signer {
    /// Name of the policy in data planes: 1 to 64 letters, digits, `-` or `_`
    #[arg(value_parser = name::parse)]
    pub(super) name: String,
    /// Private key to sign with: a PKCS#8 file as `policy keygen` writes it; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Public keys of the other signers, a JWK Set, to verify what they published
    ///
    /// Its member `required` is the number of keys that must have signed a revision.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Sign the shown changes without asking
    #[arg(long)]
    pub(super) yes: bool,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    pub(super) target: Target,
}

/// An open registry, the keys, and the newest revision that enough of them have signed.
pub(super) struct Opened {
    pub(super) key: SigningKey,
    pub(super) keys: SignerKeys,
    pub(super) registry: Box<dyn Operations>,
    /// The revisions, newest first, as the registry tells them.
    pub(super) revisions: Vec<Revision>,
    pub(super) newest: Option<Verified>,
    /// The revisions after the newest verified one.
    pub(super) unsigned: Vec<i64>,
}

impl Signer {
    pub(super) fn open(&self) -> anyhow::Result<Opened> {
        let key = read_private(&self.key)?;
        let keys = with_own(&key, self.keys.as_deref())?;
        let registry = self.target.open_or_make()?;
        let is_known = registry.policies()?.iter().any(|revision| revision.name == self.name);
        let status = if is_known { Some(registry.policy(&self.name)?) } else { None };
        let (revisions, signers) = status.map_or_else(Default::default, |it| (it.revisions, it.signers));
        if let Some(signers) = signers {
            require_as_many(&SignerKeys::of(signers.keys)?, &keys)?;
        }
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

    /// Tells of a revision that was published or proposed, and waits for the data planes if it is in force.
    pub(super) fn report(
        &self,
        opened: &Opened,
        signed: &Progress<Revision>,
        summary: &str,
    ) -> anyhow::Result<()> {
        let Progress { change: Revision { name, revision, .. }, signed_by, required } = signed;
        let is_complete = signed.is_complete();
        match self.target.format {
            Format::Json if is_complete => output::print_json(&json!({"published": signed}))?,
            Format::Json => output::print_json(&json!({"proposed": signed}))?,
            Format::Human if is_complete => {
                output::print(&format!("{}: revision {revision}: {summary}", visible(name)))?;
            }
            Format::Human => output::print(&format!(
                "{name}: revision {revision} is proposed, and no data plane runs it yet: {summary}\n{}: \
                 `keyswap policy sign {name} --key FILE`",
                missing(signed_by, *required, &opened.keys),
                name = visible(name),
            ))?,
        }
        if is_complete { self.wait.for_planes(&*opened.registry, &signed.change) } else { Ok(()) }
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
            unsigned(&told.name, &self.unsigned, self.keys.required()),
            visible(&told.name)
        );
    }
}

/// Returns an error if the registry requires fewer signatures than the keys of the operator. It would put a revision in
/// force that data planes with that number refuse. What it tells is trusted no further.
fn require_as_many(told: &SignerKeys, own: &SignerKeys) -> anyhow::Result<()> {
    ensure!(
        told.required() >= own.required(),
        "your keys require {} signatures, the registry requires {}, and nothing was signed: register yours with \
         `keyswap policy trust`",
        own.required(),
        told.required()
    );
    Ok(())
}
