//! A signed policy (RFC 7515). Trust comes from the signing key, not from the server of the file.
//!
//! The signature is checked before anything of the content is read. The name and the revision are part of what was
//! signed, so that no policy passes for another or for a newer one. So is the revision that the signer built on.
//!
//! Where several keys are required, all of them have signed the very same payload.

use std::fmt;

use serde_json::Value;

use crate::base::{Digest, UnixTime};
use crate::identity::jwt::{JwkSet, JwsSignatures, Quorum, SignatureVerifier, Tally, UnverifiedJws};
use crate::policy::{PolicyErrors, RolloutPolicy};
use crate::syntax::json;

/// The required `typ` (RFC 7515 section 4.1.9), which rejects signatures made for another purpose.
pub const BUNDLE_TYPE: &str = "keyswap-policy+jws";
/// The longest bundle that is read, in bytes.
pub const MAX_BUNDLE_BYTES: usize = 1024 * 1024;
/// The greatest revision, 2^53 − 1: the greatest integer that every reader of JSON holds exactly (RFC 8259, section 6).
pub const MAX_REVISION: u64 = (1 << 53) - 1;

/// A policy whose signature holds.
#[derive(Clone, Debug)]
pub struct SignedBundle {
    /// The name, among all policies of a registry.
    pub name: String,
    /// The revision, at most [`MAX_REVISION`]. Each is greater than the one before.
    pub revision: u64,
    /// The bundle that the signer built on. `None` for the first of a name, and for bundles of older commands.
    pub follows: Option<Follows>,
    /// The time from which on the bundle is not installed any more. `None` without an expiry.
    pub expires_at: Option<UnixTime>,
    /// The policy.
    pub policy: RolloutPolicy,
    /// The names of the keys that have signed it. Each key is there once.
    pub signed_by: Vec<String>,
}

/// The bundle before another, as the signer knew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follows {
    /// The revision, smaller than that of the bundle that follows.
    pub revision: u64,
    /// The SHA-256 of the bundle's text.
    pub digest: Digest,
}

/// An error of a bundle, which holds nothing of the content but the places of a policy's errors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum BundleError {
    /// The text does not have the form of a signed policy.
    Form,
    /// No key of the configuration has signed the bundle.
    Signature,
    /// Fewer keys of the configuration have signed the bundle than it requires.
    Signatures,
    /// The signature cannot be checked now.
    Unverifiable,
    /// The bundle has another name.
    Name,
    /// The revision is below the one in force, or below the least that is taken.
    Older,
    /// The bundle has expired.
    Expired,
    /// The policy has errors.
    Policy(PolicyErrors),
}

impl BundleError {
    /// Returns the error in a word, for metrics and reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form => "malformed",
            Self::Signature => "bad_signature",
            Self::Signatures => "missing_signatures",
            Self::Unverifiable => "unverifiable",
            Self::Name => "other_name",
            Self::Older => "older",
            Self::Expired => "expired",
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
            Self::Signatures => "fewer keys of the configuration have signed it than are required",
            Self::Unverifiable => "its signature cannot be checked now",
            Self::Name => "it has another name",
            Self::Older => "it is older than the one in force",
            Self::Expired => "it has expired",
            Self::Policy(errors) => return errors.fmt(f),
        })
    }
}

impl SignedBundle {
    /// Verifies the signatures, and reads the content.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn open(
        text: &[u8],
        name: &str,
        signers: &Quorum,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, BundleError> {
        Self::of(Agreed::verify(text, BUNDLE_TYPE, signers, verifier)?, name)
    }

    /// Reads the content of a verified bundle.
    ///
    /// # Errors
    /// See [`BundleError`].
    pub fn of(agreed: Agreed, name: &str) -> Result<Self, BundleError> {
        Self::read(&agreed.payload, name, agreed.signed_by)
    }

    /// Returns the name that a bundle claims, for registries that choose the keys by it. The signature is not checked.
    ///
    /// # Errors
    /// [`BundleError::Form`] for a text that is no bundle with a name.
    pub fn claimed_name(text: &[u8]) -> Result<String, BundleError> {
        let compact = signatures(text)?.compact().next().ok_or(BundleError::Form)?;
        let payload = parse(compact.as_bytes(), BUNDLE_TYPE)?.into_unverified_payload();
        let payload = json::parse(&payload).map_err(|_| BundleError::Form)?;
        payload.get("name").and_then(Value::as_str).map(str::to_owned).ok_or(BundleError::Form)
    }

    fn read(payload: &[u8], name: &str, signed_by: Vec<String>) -> Result<Self, BundleError> {
        let payload = json::parse(payload).map_err(|_| BundleError::Form)?;
        if payload.get("name").and_then(Value::as_str) != Some(name) {
            return Err(BundleError::Name);
        }
        let revision =
            payload.get("revision").and_then(Value::as_u64).filter(|number| *number <= MAX_REVISION);
        let revision = revision.ok_or(BundleError::Form)?;
        let follows = optional(&payload, "follows", Follows::read)?;
        if follows.is_some_and(|before| before.revision >= revision) {
            return Err(BundleError::Form);
        }
        let expires_at = optional(&payload, "expires_at", |at| UnixTime::from_rfc3339(at.as_str()?))?;
        let policy = payload.get("policy").ok_or(BundleError::Form)?;
        let policy = RolloutPolicy::from_value(policy).map_err(BundleError::Policy)?;
        Ok(Self { name: name.to_owned(), revision, follows, expires_at, policy, signed_by })
    }

    /// Returns true if the bundle has expired at this time.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Follows {
    fn read(value: &Value) -> Option<Self> {
        let revision = value.get("revision")?.as_u64()?;
        let digest = Digest::from_hex(value.get("sha256")?.as_str()?)?;
        Some(Self { revision, digest })
    }
}

/// A payload that enough keys have signed.
pub struct Agreed {
    /// The payload.
    pub payload: Vec<u8>,
    /// The names of the keys. Each key is there once.
    pub signed_by: Vec<String>,
    /// The signatures of those keys, without others of the text.
    pub jws: JwsSignatures,
}

impl Agreed {
    /// Verifies the signatures of a JWS of exactly this type.
    ///
    /// # Errors
    /// [`BundleError::Form`], [`BundleError::Signature`], [`BundleError::Signatures`] or [`BundleError::Unverifiable`].
    pub fn verify(
        text: &[u8],
        typ: &str,
        signers: &Quorum,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, BundleError> {
        Self::of(signatures(text)?, typ, signers, verifier)
    }

    /// Returns the payload with the signatures of another text too. Returns `None` for another payload.
    pub fn with(
        &self,
        other: &Self,
        typ: &str,
        signers: &Quorum,
        verifier: &dyn SignatureVerifier,
    ) -> Option<Self> {
        Self::of(self.jws.clone().with(&other.jws)?, typ, signers, verifier).ok()
    }

    fn of(
        jws: JwsSignatures,
        typ: &str,
        signers: &Quorum,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Self, BundleError> {
        let signed = signers.verify(jws, typ, MAX_BUNDLE_BYTES, verifier);
        let Tally { payload, signed_by, jws, is_uncertain } = signed.map_err(|_| BundleError::Form)?;
        if signed_by.len() >= signers.required() {
            return Ok(Self { payload, signed_by, jws });
        }
        Err(match (is_uncertain, signed_by.is_empty()) {
            (true, _) => BundleError::Unverifiable,
            (false, true) => BundleError::Signature,
            (false, false) => BundleError::Signatures,
        })
    }
}

fn signatures(text: &[u8]) -> Result<JwsSignatures, BundleError> {
    JwsSignatures::parse(text.trim_ascii_end(), MAX_BUNDLE_BYTES).ok_or(BundleError::Form)
}

/// Verifies the signature of a compact JWS of exactly this type, and returns its payload.
///
/// # Errors
/// [`BundleError::Form`], [`BundleError::Signature`] or [`BundleError::Unverifiable`].
pub fn verified_payload(
    text: &[u8],
    typ: &str,
    keys: &JwkSet,
    verifier: &dyn SignatureVerifier,
) -> Result<Vec<u8>, BundleError> {
    let jws = parse(text, typ)?;
    let key = keys.select(&jws).map_err(|_| BundleError::Signature)?;
    match jws.signature_holds(key, verifier) {
        Ok(true) => Ok(jws.into_unverified_payload()),
        Ok(false) => Err(BundleError::Signature),
        Err(_) => Err(BundleError::Unverifiable),
    }
}

fn parse<'a>(text: &'a [u8], typ: &str) -> Result<UnverifiedJws<'a>, BundleError> {
    UnverifiedJws::parse_of_type(text.trim_ascii_end(), typ, MAX_BUNDLE_BYTES).map_err(|_| BundleError::Form)
}

/// Reads a member that may be absent or null. A member with another value than `read` accepts is an error.
fn optional<T>(
    payload: &Value,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, BundleError> {
    match payload.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or(BundleError::Form),
    }
}
