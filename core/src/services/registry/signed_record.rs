//! The answer to a lookup as a registry signs it (RFC 7515), for policies that pin the registry's keys.
//!
//! The subject, the answer and the time of issue are one signed text. So no server on the way can make a record, pass one
//! token's record for another's, or bring back a record from before a revocation. "Unknown" is signed as well.

use std::fmt;

use serde_json::Value;

use super::found::Found;
use super::record::{self, MAX_BYTES};
use crate::base::{Digest, Moment, UnixTime};
use crate::identity::jwt::{JwkSet, SignatureVerifier};
use crate::services::bundle::{BundleError, verified_payload};
use crate::services::fetch::Subject;
use crate::syntax::json;

/// The required `typ` (RFC 7515 section 4.1.9), which rejects signatures made for another purpose.
pub const RECORD_TYPE: &str = "keyswap-record+jws";

/// The longest time from the issue of an answer to its expiry, in seconds.
pub const MAX_RECORD_SECONDS: i64 = 60;

/// The greatest difference of the clocks of registry and data plane, in seconds.
const MAX_SKEW_SECONDS: i64 = 15;

/// A fault of an answer that should be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordFault {
    /// The answer does not have the form of a signed record.
    Form,
    /// No pinned key has signed the answer.
    Signature,
    /// The answer is about something else.
    Subject,
    /// The answer has expired, is from the future, or is valid for too long.
    Time,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "it does not have the form of a signed record: has the registry a `--records-key`?",
            Self::Signature => "no key in `registry.keys` has signed it",
            Self::Subject => "it is about something else than was asked for",
            Self::Time => "it was issued at another time: do the clocks agree?",
        })
    }
}

/// Verifies an answer about a token or a person, and returns its content with the time of issue.
pub(super) fn open(
    body: &[u8],
    subject: &Subject,
    keys: &JwkSet,
    verifier: &dyn SignatureVerifier,
    now: Moment,
) -> Result<(Found, Moment), RecordFault> {
    if body.len() > MAX_BYTES {
        return Err(RecordFault::Form);
    }
    let name = name(subject).ok_or(RecordFault::Subject)?;
    let (record, issued_at) = verified(body, &name, keys, verifier, now)?;
    let found = match &record {
        Value::Null => Found::Nothing,
        record => record::of(record, subject)
            .map(|(record, version)| Found::Record(record, version))
            .ok_or(RecordFault::Form)?,
    };
    Ok((found, issued_at))
}

/// Verifies an answer about the subject of this name, and returns what it says of it with the time of issue.
pub(super) fn verified(
    body: &[u8],
    name: &str,
    keys: &JwkSet,
    verifier: &dyn SignatureVerifier,
    now: Moment,
) -> Result<(Value, Moment), RecordFault> {
    let payload = verified_payload(body, RECORD_TYPE, keys, verifier).map_err(|error| match error {
        BundleError::Form => RecordFault::Form,
        _ => RecordFault::Signature,
    })?;
    let mut payload = json::parse(&payload).map_err(|_| RecordFault::Form)?;
    if payload.get("sub").and_then(Value::as_str).ok_or(RecordFault::Form)? != name {
        return Err(RecordFault::Subject);
    }
    let seconds = |name: &str| payload.get(name).and_then(Value::as_i64).ok_or(RecordFault::Form);
    let (issued_at, expires_at, now) = (seconds("iat")?, seconds("exp")?, now.unix().0);
    let is_short =
        expires_at.checked_sub(issued_at).is_some_and(|span| (0..=MAX_RECORD_SECONDS).contains(&span));
    let is_current = issued_at <= now.saturating_add(MAX_SKEW_SECONDS)
        && now < expires_at.saturating_add(MAX_SKEW_SECONDS);
    if !is_short || !is_current {
        return Err(RecordFault::Time);
    }
    let record = payload.get_mut("record").map(Value::take).ok_or(RecordFault::Form)?;
    Ok((record, UnixTime(issued_at).into()))
}

/// Returns the name of these objects in a signed answer. The registry answers for all of them, so an object that the answer
/// does not have is unknown.
pub fn objects_name(digests: &[Digest]) -> String {
    let asked: String = digests.iter().map(Digest::to_hex).collect();
    format!("objects:{}", Digest::of(asked.as_bytes()).to_hex())
}

/// Returns the name of a subject in a signed answer; `None` for subjects without a record.
fn name(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Token(digest) => Some(format!("token:{}", digest.to_hex())),
        Subject::Person(email) => Some(format!("user:{email}")),
        _ => None,
    }
}
