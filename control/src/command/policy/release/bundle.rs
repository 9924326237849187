//! The bundle that is signed: a policy with its name, its number and the revision that it follows.

use keyswap_core::base::UnixTime;
use keyswap_core::services::{BUNDLE_TYPE, Follows, MAX_BUNDLE_BYTES};
use serde::Serialize;
use serde_json::Value;

use crate::signing::SigningKey;

/// The content of a bundle.
pub(super) struct Bundle<'a> {
    pub(super) name: &'a str,
    pub(super) revision: u64,
    pub(super) follows: Option<Follows>,
    pub(super) expires_at: Option<UnixTime>,
    pub(super) policy: &'a Value,
}

#[derive(Serialize)]
struct Payload<'a> {
    name: &'a str,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<Base>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    policy: &'a Value,
}

#[derive(Serialize)]
struct Base {
    revision: u64,
    sha256: String,
}

impl Bundle<'_> {
    /// Returns the bundle with a signature. A bundle of more than [`MAX_BUNDLE_BYTES`] is an error.
    pub(super) fn sign(&self, key: &SigningKey) -> anyhow::Result<String> {
        let base = |it: Follows| Base { revision: it.revision, sha256: it.digest.to_hex() };
        let payload = serde_json::to_value(Payload {
            name: self.name,
            revision: self.revision,
            follows: self.follows.map(base),
            created_at: crate::registry::now().to_string(),
            expires_at: self.expires_at.map(|at| at.to_string()),
            policy: self.policy,
        })?;
        let bundle = key.sign(BUNDLE_TYPE, &payload)?;
        anyhow::ensure!(
            bundle.len() <= MAX_BUNDLE_BYTES,
            "the signed bundle has {} bytes, more than the {MAX_BUNDLE_BYTES} that data planes accept: move its tokens to a \
             registry",
            bundle.len()
        );
        Ok(bundle)
    }
}
