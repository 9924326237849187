//! A revision that was fetched and verified. Nothing of a registry is shown as a policy or signed anew without this.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::services::{BUNDLE_TYPE, BundleError, Follows, SignedBundle, verified_payload};
use serde::Deserialize;
use serde_json::Value;

use super::document::Document;
use crate::command::connection::operations::Operations;
use crate::command::policy::report::error_lines;
use crate::command::terminal::output::visible;
use crate::registry::{Revision, SignerKeys};

/// A revision that a known key has signed, for its name and number.
pub(super) struct Verified {
    pub(super) revision: u64,
    /// The SHA-256 of the bundle.
    digest: Digest,
    pub(super) document: Document,
    pub(super) policy: RolloutPolicy,
    pub(super) expires_at: Option<UnixTime>,
    /// The `kid` of the key that signed it.
    pub(super) signed_by: String,
}

#[derive(Deserialize)]
struct Header {
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    policy: Value,
}

impl Verified {
    /// Fetches a revision and verifies it. Returns `None` if no key of the set has signed it for this name and number.
    pub(super) fn fetch(
        registry: &dyn Operations,
        name: &str,
        revision: i64,
        keys: &SignerKeys,
    ) -> anyhow::Result<Option<Self>> {
        let text = registry.bundle(name, revision)?;
        let bundle = match SignedBundle::open(text.as_bytes(), name, keys.set(), &PureRust) {
            Ok(bundle) if i64::try_from(bundle.revision) == Ok(revision) => bundle,
            Err(BundleError::Policy(errors)) => bail!(
                "revision {revision} of `{}` is signed, but this command does not accept its policy:\n{}",
                visible(name),
                error_lines(&errors)
            ),
            Ok(_) | Err(_) => return Ok(None),
        };
        let payload = verified_payload(text.as_bytes(), BUNDLE_TYPE, keys.set(), &PureRust)?;
        let Payload { policy } = serde_json::from_slice(&payload).context("the revision cannot be read")?;
        let header = text.split('.').next().and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
        let header: Option<Header> = header.and_then(|header| serde_json::from_slice(&header).ok());
        Ok(Some(Self {
            revision: bundle.revision,
            digest: Digest::of(text.as_bytes()),
            document: Document::of(policy)?,
            policy: bundle.policy,
            expires_at: bundle.expires_at,
            signed_by: header.and_then(|header| header.kid).unwrap_or_default(),
        }))
    }

    /// Fetches a revision and verifies it. A revision that no key of the set has signed is an error with the remedy.
    pub(super) fn require(
        registry: &dyn Operations,
        name: &str,
        revision: i64,
        keys: &SignerKeys,
    ) -> anyhow::Result<Self> {
        Self::fetch(registry, name, revision, keys)?.with_context(|| {
            let words = unsigned(name, &[revision]);
            format!("{words}: if another signer published it, pass that public key with `--keys`")
        })
    }

    /// Returns true if the registry's summary is that of the signed policy.
    pub(super) fn is_as_told(&self, told: &Revision) -> bool {
        let percent = self.policy.candidate.as_ref().map(|candidate| candidate.percent);
        self.policy.sha256() == told.sha256 && percent == told.percent
    }

    /// Returns the claim of a bundle that is built on this one.
    pub(super) fn as_base(&self) -> Follows {
        Follows { revision: self.revision, digest: self.digest }
    }
}

/// Returns the words for revisions that no known key has signed.
pub(super) fn unsigned(name: &str, revisions: &[i64]) -> String {
    let numbers: Vec<String> = revisions.iter().map(i64::to_string).collect();
    let (noun, verb) = if revisions.len() == 1 { ("revision", "is") } else { ("revisions", "are") };
    format!("{noun} {} of `{}` {verb} signed by none of your keys", numbers.join(", "), visible(name))
}
