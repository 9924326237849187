//! A signed policy (RFC 7515). Trust comes from the signing key, not from the server of the file.
//!
//! The signature is checked before anything of the content is read. The name and the revision are part of what was
//! signed, so that no policy passes for another or for a newer one.

use std::fmt;

use serde_json::Value;

use crate::identity::jwt::{JwkSet, SignatureVerifier, UnverifiedJws};
use crate::policy::{PolicyErrors, RolloutPolicy};
use crate::syntax::json;

/// The required `typ` (RFC 7515 section 4.1.9), which rejects signatures made for another purpose.
pub const BUNDLE_TYPE: &str = "keyswap-policy+jws";
/// The longest bundle that is read, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 1024 * 1024;

/// A policy whose signature holds.
#[derive(Clone, Debug)]
pub struct SignedBundle {
    /// The name, among all policies of a registry.
    pub name: String,
    /// The revision. Each is greater than the one before.
    pub revision: u64,
    /// The policy.
    pub policy: RolloutPolicy,
}

/// An error of a bundle, which holds nothing of the content but the places of a policy's errors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BundleError {
    /// The text does not have the form of a signed policy.
    Form,
    /// No key of the configuration has signed the bundle.
    Signature,
    /// The signature cannot be checked now.
    Unverifiable,
    /// The bundle has another name.
    Name,
    /// The revision is below the one in force, or below the least that is taken.
    Older,
    /// The policy has errors.
    Policy(PolicyErrors),
}

impl BundleError {
    /// Returns the error in a word, for metrics and reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form => "malformed",
            Self::Signature => "bad_signature",
            Self::Unverifiable => "unverifiable",
            Self::Name => "other_name",
            Self::Older => "older",
            Self::Policy(_) => "bad_policy",
        }
    }
}

impl std::error::Error for BundleError {}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "it does not have the form of a signed policy",
            Self::Signature => "no key of the configuration has signed it",
            Self::Unverifiable => "its signature cannot be checked now",
            Self::Name => "it has another name",
            Self::Older => "it is older than the one in force",
            Self::Policy(errors) => return errors.fmt(f),
        })
    }
}

impl SignedBundle {
    /// Verifies the signature, and reads the content.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn open(
        text: &[u8],
        name: &str,
        keys: &JwkSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, BundleError> {
        let text = text.trim_ascii_end();
        let jws = UnverifiedJws::parse_of_type(text, BUNDLE_TYPE, MAX_BUNDLE_BYTES)
            .map_err(|_| BundleError::Form)?;
        let key = keys.select(&jws).map_err(|_| BundleError::Signature)?;
        match jws.signature_holds(key, verifier) {
            Ok(true) => Self::read(jws.unverified_payload(), name),
            Ok(false) => Err(BundleError::Signature),
            Err(_) => Err(BundleError::Unverifiable),
        }
    }

    /// Reads the content for the programs that sign or store bundles. The form is checked, and the signature is not.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn peek(text: &[u8]) -> Result<Self, BundleError> {
        let text = text.trim_ascii_end();
        let jws = UnverifiedJws::parse_of_type(text, BUNDLE_TYPE, MAX_BUNDLE_BYTES)
            .map_err(|_| BundleError::Form)?;
        let payload = json::parse(jws.unverified_payload()).map_err(|_| BundleError::Form)?;
        let name = payload.get("name").and_then(Value::as_str).ok_or(BundleError::Form)?;
        Self::read(jws.unverified_payload(), name)
    }

    fn read(payload: &[u8], name: &str) -> Result<Self, BundleError> {
        let payload = json::parse(payload).map_err(|_| BundleError::Form)?;
        if payload.get("name").and_then(Value::as_str) != Some(name) {
            return Err(BundleError::Name);
        }
        let revision = payload.get("revision").and_then(Value::as_u64).ok_or(BundleError::Form)?;
        let policy = payload.get("policy").ok_or(BundleError::Form)?;
        let policy = RolloutPolicy::from_value(policy).map_err(BundleError::Policy)?;
        Ok(Self { name: name.to_owned(), revision, policy })
    }
}
