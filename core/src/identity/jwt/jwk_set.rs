//! A JSON Web Key Set (RFC 7517 section 5), and the choice of the key that a token is checked with.
//!
//! A key that cannot be used is dropped alone, with its error. A `kid` that two keys share names neither of them. No
//! key is a default: not the first, not the last, and not the one that happens to verify. A key without a `kid` is meant by
//! every token that names no other, where it is the only one for the token's algorithm.

use std::fmt;

use serde_json::Value;

use super::jwk::{Jwk, JwkError};
use super::jws::{MAX_DEPTH, UnverifiedJws};
use crate::syntax::json;

/// The largest set that is read, in bytes. A larger one is refused whole.
pub const MAX_SET_BYTES: usize = 256 * 1024;

/// The most keys of a set. A set with more is refused whole.
pub const MAX_KEYS: usize = 64;

/// The keys of an issuer that can be used. Equal sets give the same verdict on every token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwkSet {
    keys: Vec<Jwk>,
    dropped: Vec<(usize, JwkError)>,
}

/// An error of a document that is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JwkSetError {
    /// More than 256 KiB.
    TooLong,
    /// Not one strict JSON object with a list `keys`.
    Form,
    /// More than 64 keys.
    TooManyKeys,
}

impl std::error::Error for JwkSetError {}

impl fmt::Display for JwkSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the key set is longer than 256 KiB",
            Self::Form => "the key set is not one strict JSON object with a list `keys`",
            Self::TooManyKeys => "the key set has more than 64 keys",
        })
    }
}

/// An error of the choice of a key for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoKey {
    /// No key has the token's `kid`. The set may be older than the token, so a refetch may help.
    Unknown,
    /// Two keys or more have the token's `kid`, or fit a token without one.
    Ambiguous,
    /// The token has no `kid`, and no key of the set is for its algorithm.
    Unnamed,
    /// The key is for another algorithm than the token claims.
    Algorithm,
    /// The signature does not hold under the key without a `kid`. The set may be older than the token, so a refetch may help.
    Unproven,
    /// The key is of another tenant.
    OtherTenant,
}

impl std::error::Error for NoKey {}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "the issuer has no key with the token's `kid`",
            Self::Ambiguous => "more than one key of the issuer fits the token",
            Self::Unnamed => "the token names no key, and the issuer has none for its `alg`",
            Self::Algorithm => "the key is for another algorithm than the token's `alg`",
            Self::Unproven => "the signature does not hold under the key of the issuer that has no `kid`",
            Self::OtherTenant => "the key is of another tenant than the token",
        })
    }
}

impl JwkSet {
    /// Reads a set. A key that cannot be used is no error, see [`JwkSet::dropped`].
    ///
    /// # Errors
    /// [`JwkSetError`] where the document is too long, malformed, or has too many keys.
    pub fn parse(document: &[u8]) -> Result<Self, JwkSetError> {
        if document.len() > MAX_SET_BYTES {
            return Err(JwkSetError::TooLong);
        }
        Self::from_value(&json::parse_within(MAX_DEPTH, document).map_err(|_| JwkSetError::Form)?)
    }

    pub(crate) fn from_value(document: &Value) -> Result<Self, JwkSetError> {
        let keys = document.get("keys").and_then(Value::as_array).ok_or(JwkSetError::Form)?;
        if keys.len() > MAX_KEYS {
            return Err(JwkSetError::TooManyKeys);
        }
        let mut set = Self { keys: Vec::new(), dropped: Vec::new() };
        for (index, key) in keys.iter().enumerate() {
            match Jwk::from_value(key) {
                Ok(key) => set.keys.push(key),
                Err(fault) => set.dropped.push((index, fault)),
            }
        }
        Ok(set)
    }

    /// Returns the keys that can be used.
    pub fn keys(&self) -> &[Jwk] {
        &self.keys
    }

    /// Returns the places in `keys` of the dropped keys, from 0, each with its error.
    pub fn dropped(&self) -> &[(usize, JwkError)] {
        &self.dropped
    }

    /// Returns the one key that the token can have been signed with. A token without a `kid` gets the set's key for its
    /// algorithm, if there is only one; a token with a `kid` that no key has gets the one that has none.
    ///
    /// # Errors
    /// [`NoKey`] where no key fits, or more than one.
    pub fn select(&self, jws: &UnverifiedJws<'_>) -> Result<&Jwk, NoKey> {
        self.select_of(false, jws)
    }

    /// Returns the key of a token as [`JwkSet::select`] does, among those of a SPIFFE trust domain or among all others.
    pub(super) fn select_of(&self, domain: bool, jws: &UnverifiedJws<'_>) -> Result<&Jwk, NoKey> {
        let algorithm = jws.algorithm();
        let keys = || self.keys.iter().filter(|key| key.is_of_domain() == domain);
        let Some(kid) = jws.kid() else {
            return only_one(keys().filter(|key| key.is_for(algorithm)));
        };
        let mut named = keys().filter(|key| key.kid() == Some(kid));
        match (named.next(), named.next()) {
            (None, _) => {
                let unnamed = keys().filter(|key| key.kid().is_none() && key.is_for(algorithm));
                only_one(unnamed).map_err(|_| NoKey::Unknown)
            }
            (Some(key), None) if key.is_for(algorithm) => Ok(key),
            (Some(_), None) => Err(NoKey::Algorithm),
            (Some(_), Some(_)) => Err(NoKey::Ambiguous),
        }
    }
}

fn only_one<'k>(mut keys: impl Iterator<Item = &'k Jwk>) -> Result<&'k Jwk, NoKey> {
    match (keys.next(), keys.next()) {
        (None, _) => Err(NoKey::Unnamed),
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(NoKey::Ambiguous),
    }
}
