//! Proxy tokens: known by their SHA-256 only, judged by status and expiry.
//!
//! The digest of what the caller sent is looked up, so the bytes of tokens tell nothing through timing. A worker that verified a
//! token finds its digest again by a comparison in constant time.

use std::sync::Arc;

use super::models::Models;
use super::scope::Scope;
use crate::base::{Digest, UnixTime};
use crate::limit::{Budget, CallerLimit};

/// The status of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStatus {
    /// The token may be used.
    Active,
    /// The token is revoked, for now or for good.
    Disabled,
}

/// The way in which a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// By a proxy token. Its record is that of a policy or of a registry.
    Token,
    /// By a token that another authorization server knows: the record is that server's word.
    Introspected,
    /// By an identity JWT or a client certificate. The owner is the address that its issuer vouches for.
    Person,
}

/// The record of a token or a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRecord {
    /// The way in which the caller is known.
    pub kind: CallerKind,
    /// The SHA-256 that identifies the token or the person.
    pub digest: Digest,
    /// The principal that holds the caller's objects: the digest of the first token of its line of rotations, which only a
    /// registry tells. Of all other callers it is their own digest.
    pub holder: Digest,
    /// The label that people give it.
    pub label: String,
    /// The owner: an email address.
    pub owner: Option<String>,
    /// The team: a name that an administrator gave. No server other than the registry tells it, and a claim only where a rule of
    /// the policy says so.
    pub team: Option<String>,
    /// The status.
    pub status: TokenStatus,
    /// The providers in scope, with the classes of their endpoints.
    pub scope: Scope,
    /// The models in scope.
    pub models: Models,
    /// The moment from which the token is refused; `None` for a token that never expires.
    pub expires_at: Option<UnixTime>,
    /// The rate limit in place of the policy's.
    pub rate_limit: Option<CallerLimit>,
    /// The sessions of a person that have ended, while a JWT of theirs may not have expired. Only a registry tells them.
    pub ended_sessions: Vec<String>,
    /// The SHA-256 of the client certificate that the token is bound to (RFC 8705); `None` where any connection may bring it.
    pub certificate: Option<Digest>,
    /// The budget that a rule of an issuer gives. No server tells it.
    pub budget: Option<Arc<Budget>>,
}

impl CallerRecord {
    /// Returns a stable name for the token: the first 16 hexadecimal digits of its digest. The name cannot be used as a
    /// token.
    pub fn id(&self) -> String {
        let (first, _) = self.digest.bytes().split_at(8);
        hex::encode(first)
    }
}
