//! The public keys that may sign the revisions of a policy.

use std::collections::BTreeSet;

use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{JwkSet, MAX_SET_BYTES, PureRust};
use keyswap_core::services::{BUNDLE_TYPE, BundleError, verified_payload};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::RegistryError;
use super::model::{rfc3339, time};

/// The required `typ` of a signed change of the keys (RFC 7515, section 4.1.9).
pub const SIGNERS_TYPE: &str = "keyswap-policy-signers+jws";

/// The registered keys of a policy's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signers {
    /// The number of the key set, from 1. Each change of the keys is greater by 1.
    pub version: i64,
    /// The public keys, as a JWK Set (RFC 7517).
    pub keys: Value,
    /// The time of the last change.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    pub changed_at: UnixTime,
    /// The actor of the last change.
    pub changed_by: String,
}

/// A set of public keys, each usable and with a `kid` of its own.
#[derive(Clone, Debug)]
pub struct SignerKeys {
    document: Value,
    set: JwkSet,
}

/// The payload of a signed change of the keys.
#[derive(Serialize, Deserialize)]
pub struct SignersChange {
    /// The name of the policy.
    pub name: String,
    /// The version that the change makes: the present one plus 1, or 1 for a name without keys.
    pub version: i64,
    /// The new keys.
    pub keys: Value,
}

#[derive(Deserialize)]
struct Claims {
    name: String,
    revision: i64,
}

impl SignerKeys {
    /// Reads a JWK Set.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a set without keys, with a key that cannot be used, or without distinct `kid`s.
    pub fn of(document: Value) -> Result<Self, RegistryError> {
        let invalid = |expected: String| RegistryError::Invalid { field: "keys", expected };
        let text = document.to_string();
        if text.len() > MAX_SET_BYTES {
            return Err(invalid(format!("expected at most {MAX_SET_BYTES} bytes")));
        }
        let set = JwkSet::parse(text.as_bytes()).map_err(|error| invalid(error.to_string()))?;
        if let Some((index, error)) = set.dropped().first() {
            return Err(invalid(format!("the key `keys[{index}]` cannot be used: {error}")));
        }
        let names: BTreeSet<&str> = set.keys().iter().filter_map(|key| key.kid()).collect();
        if names.is_empty() || names.len() != set.keys().len() {
            return Err(invalid("expected at least one key, each with a `kid` of its own".to_owned()));
        }
        Ok(Self { document, set })
    }

    /// Returns the JWK Set.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Returns the keys for verifying.
    pub fn set(&self) -> &JwkSet {
        &self.set
    }

    /// Returns the names of the keys.
    pub fn kids(&self) -> Vec<&str> {
        self.set.keys().iter().filter_map(|key| key.kid()).collect()
    }

    /// Returns false if no key of the set has signed the text as this revision of the policy.
    ///
    /// The policy itself is not read: a revision of an older command that this one would refuse is signed all the same.
    pub(in crate::registry) fn have_signed(&self, bundle: &str, name: &str, revision: i64) -> bool {
        match verified_payload(bundle.as_bytes(), BUNDLE_TYPE, &self.set, &PureRust) {
            Ok(payload) => serde_json::from_slice(&payload)
                .is_ok_and(|claims: Claims| claims.name == name && claims.revision == revision),
            Err(error) => matches!(error, BundleError::Unverifiable),
        }
    }
}
