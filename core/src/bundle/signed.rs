//! A signed policy (RFC 7515): who may say what a data plane runs is who holds the key, not who serves the file.
//!
//! The signature is checked before anything of the content is read; the name and the revision are part of what was signed,
//! so that no policy passes for another or for a newer one.

use std::fmt;

use serde_json::Value;

use crate::json;
use crate::jwt::{JwkSet, SignatureVerifier, UnverifiedJws};
use crate::policy::{PolicyErrors, RolloutPolicy};

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
pub enum BundleFault {
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

impl BundleFault {
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

impl fmt::Display for BundleFault {
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
    /// See [`BundleFault`].
    pub fn open(
        text: &[u8],
        name: &str,
        keys: &JwkSet,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, BundleFault> {
        let text = text.trim_ascii_end();
        let jws = UnverifiedJws::parse_of_type(text, BUNDLE_TYPE, MAX_BUNDLE_BYTES)
            .map_err(|_| BundleFault::Form)?;
        let key = keys.select(&jws).map_err(|_| BundleFault::Signature)?;
        match jws.signature_holds(key, verifier) {
            Ok(true) => Self::read(jws.unverified_payload(), name),
            Ok(false) => Err(BundleFault::Signature),
            Err(_) => Err(BundleFault::Unverifiable),
        }
    }

    /// Reads what was signed, for whoever signs it or keeps it. Nothing is checked but its form.
    ///
    /// # Errors
    /// See [`BundleFault`].
    pub fn peek(text: &[u8]) -> Result<Self, BundleFault> {
        let text = text.trim_ascii_end();
        let jws = UnverifiedJws::parse_of_type(text, BUNDLE_TYPE, MAX_BUNDLE_BYTES)
            .map_err(|_| BundleFault::Form)?;
        let payload = json::parse(jws.unverified_payload()).map_err(|_| BundleFault::Form)?;
        let name = payload.get("name").and_then(Value::as_str).ok_or(BundleFault::Form)?;
        Self::read(jws.unverified_payload(), name)
    }

    fn read(payload: &[u8], name: &str) -> Result<Self, BundleFault> {
        let payload = json::parse(payload).map_err(|_| BundleFault::Form)?;
        if payload.get("name").and_then(Value::as_str) != Some(name) {
            return Err(BundleFault::Name);
        }
        let revision = payload.get("revision").and_then(Value::as_u64).ok_or(BundleFault::Form)?;
        let policy = payload.get("policy").ok_or(BundleFault::Form)?;
        let policy = RolloutPolicy::from_value(policy).map_err(BundleFault::Policy)?;
        Ok(Self { name: name.to_owned(), revision, policy })
    }
}
