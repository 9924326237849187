//! A signed policy (RFC 7515): who may say what a data plane runs is who holds the key, not who serves the file.
//!
//! The signature is checked before anything of the content is read; the name and the revision are part of what was signed,
//! so that no policy passes for another or for a newer one.

use std::fmt;

use serde_json::Value;

use crate::identity::jwt::{JwkSet, SignatureVerifier, UnverifiedJws};
use crate::policy::{PolicyErrors, RolloutPolicy};
use crate::syntax::json;

/// The type in its header: a signature over anything else is none over a policy.
pub const BUNDLE_TYPE: &str = "keyswap-policy+jws";
/// Longer bundles are refused unread.
pub const MAX_BUNDLE_BYTES: usize = 1024 * 1024;

/// A policy whose signature holds.
#[derive(Clone, Debug)]
pub struct SignedBundle {
    /// Of all that a registry has.
    pub name: String,
    /// Each is greater than the one before.
    pub revision: u64,
    /// The policy.
    pub policy: RolloutPolicy,
}

/// Why a bundle is none. It holds nothing of its content but the places of a policy's errors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BundleError {
    /// Not a signed policy in form.
    Form,
    /// No key that counts has signed it.
    Signature,
    /// The signature cannot be checked now.
    Unverifiable,
    /// It is another data plane's.
    Name,
    /// There has been a newer one.
    Older,
    /// The policy does not hold.
    Policy(PolicyErrors),
}

impl BundleError {
    /// In a word, for metrics and reports.
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
            Self::Form => "it is not a signed policy in form",
            Self::Signature => "no key of the configuration has signed it",
            Self::Unverifiable => "its signature cannot be checked now",
            Self::Name => "it has another name",
            Self::Older => "it is older than the one in force",
            Self::Policy(errors) => return errors.fmt(f),
        })
    }
}

impl SignedBundle {
    /// Checks the signature, and reads what was signed.
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

    /// Reads what was signed, for whoever signs it or keeps it. Nothing is checked but its form.
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
