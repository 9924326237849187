//! Proxy tokens: known by their SHA-256 only, judged by status and expiry.
//!
//! The digest of what the caller sent is looked up; the token itself is never stored or compared, so its bytes
//! tell nothing through timing.

use crate::base::{Digest, UnixTime};
use crate::limit::RateLimit;

/// The status of a token: whether it may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// It may.
    Active,
    /// It was taken back, for now or for good.
    Disabled,
}

/// The record of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRecord {
    /// Its SHA-256.
    pub digest: Digest,
    /// The label that people give it.
    pub label: String,
    /// The owner who answers for it: an email address.
    pub owner: Option<String>,
    /// The status: whether it may be used.
    pub status: TokenStatus,
    /// The names of the providers it is for.
    pub providers: Vec<String>,
    /// The models it is for; `*` is all.
    pub models: Vec<String>,
    /// From this moment on it is refused.
    pub expires_at: Option<UnixTime>,
    /// Its own rate limit, in place of the policy's.
    pub rate_limit: Option<RateLimit>,
}

impl CallerRecord {
    /// Returns the models of a token that is not restricted to models.
    pub(crate) fn all_models() -> Vec<String> {
        vec!["*".to_owned()]
    }

    /// Returns whether the token is restricted to some models.
    pub(crate) fn restricts_models(&self) -> bool {
        !self.models.iter().any(|model| model == "*")
    }

    /// A stable name for the token: the first 16 hexadecimal digits of its digest. It cannot be used as a token.
    pub fn id(&self) -> String {
        let (first, _) = self.digest.bytes().split_at(8);
        hex::encode(first)
    }
}
