//! A revision that was fetched and verified. Nothing of a registry is shown as a policy or signed anew without this.

use anyhow::{Context as _, anyhow, bail};
use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::identity::jwt::{PureRust, Quorum};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::services::{Agreed, BUNDLE_TYPE, BundleError, Follows, SignedBundle};
use serde::Deserialize;
use serde_json::Value;

use super::document::Document;
use super::signatures::unsigned;
use crate::command::connection::operations::Operations;
use crate::command::policy::report::error_lines;
use crate::command::terminal::output::visible;
use crate::registry::{RegistryError, Revision, SignerKeys};

/// A revision that enough known keys have signed, for its name and number.
pub(super) struct Verified {
    pub(super) revision: u64,
    /// The SHA-256 of the bundle.
    digest: Digest,
    pub(super) follows: Option<Follows>,
    pub(super) document: Document,
    pub(super) policy: RolloutPolicy,
    /// The time of signing, as the first signer tells it.
    pub(super) created_at: String,
    pub(super) expires_at: Option<UnixTime>,
    /// The `kid`s of the keys that signed it.
    pub(super) signed_by: Vec<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(default)]
    created_at: String,
    policy: Value,
}

impl Verified {
    /// Fetches a revision and verifies it. Returns `None` if too few keys of the set have signed it for this name
    /// and number.
    pub(super) fn fetch(
        registry: &dyn Operations,
        name: &str,
        revision: i64,
        keys: &SignerKeys,
    ) -> anyhow::Result<Option<Self>> {
        let text = registry.bundle(name, revision)?;
        let verified = Self::of(&text, name, keys.quorum())?;
        Ok(verified.filter(|verified| i64::try_from(verified.revision) == Ok(revision)))
    }

    /// Verifies a bundle. Returns `None` if too few keys of the quorum have signed it for this name.
    pub(super) fn of(text: &str, name: &str, signers: &Quorum) -> anyhow::Result<Option<Self>> {
        let Ok(agreed) = Agreed::verify(text.as_bytes(), BUNDLE_TYPE, signers, &PureRust) else {
            return Ok(None);
        };
        let payload = serde_json::from_slice(&agreed.payload);
        let bundle = match SignedBundle::of(agreed, name) {
            Ok(bundle) => bundle,
            Err(BundleError::Policy(errors)) => bail!(
                "a revision of `{}` is signed, but this command does not accept its policy:\n{}",
                visible(name),
                error_lines(&errors)
            ),
            Err(_) => return Ok(None),
        };
        let Payload { created_at, policy } = payload.context("the revision cannot be read")?;
        Ok(Some(Self {
            revision: bundle.revision,
            digest: Digest::of(text.as_bytes()),
            follows: bundle.follows,
            document: Document::of(policy)?,
            policy: bundle.policy,
            created_at,
            expires_at: bundle.expires_at,
            signed_by: bundle.signed_by,
        }))
    }

    /// Fetches a revision of a policy that the registry has, and verifies it. A number without a revision is an error with the
    /// remedy, and so is a revision that too few keys of the set have signed.
    pub(super) fn require(
        registry: &dyn Operations,
        name: &str,
        revision: i64,
        keys: &SignerKeys,
    ) -> anyhow::Result<Self> {
        let fetched = Self::fetch(registry, name, revision, keys).map_err(|error| {
            let is_unknown = matches!(error.downcast_ref(), Some(RegistryError::UnknownPolicy));
            let shown = visible(name);
            if is_unknown {
                anyhow!("`{shown}` has no revision {revision}: `keyswap policy status {shown}` lists them")
            } else {
                error
            }
        });
        fetched?.with_context(|| {
            let words = unsigned(name, &[revision], keys.required());
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
