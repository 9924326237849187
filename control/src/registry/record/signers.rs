//! The public keys that may sign the revisions of a policy.

use std::collections::BTreeSet;

use keyswap_core::base::UnixTime;
use keyswap_core::identity::jwt::{JwkSet, MAX_SET_BYTES, PureRust, Quorum};
use keyswap_core::services::{Agreed, BUNDLE_TYPE, BundleError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actor::Actor;
use super::clock::now;
use super::error::RegistryError;
use super::model::{rfc3339, time};

/// The required `typ` of a signed change of the keys (RFC 7515, section 4.1.9).
pub const SIGNERS_TYPE: &str = "keyswap-policy-signers+jws";

/// The registered keys of a policy's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Signers {
    /// The number of the key set, from 1. Each change of the keys is greater by 1.
    pub version: i64,
    /// The public keys, as a JWK Set (RFC 7517). Its member `required` is the number of keys that must sign, 1 if absent.
    #[schema(value_type = Object)]
    pub keys: Value,
    /// The time of the last change.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: UnixTime,
    /// The actor of the last change.
    pub changed_by: String,
}

/// A set of public keys, each usable and with a `kid` of its own, and the number of those that must have signed.
///
/// The number is the member `required` of the JWK Set, so that it goes wherever the keys go.
#[derive(Clone, Debug)]
pub struct SignerKeys {
    document: Value,
    quorum: Quorum,
    /// The same keys, of which one suffices: for proposals.
    any: Quorum,
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

impl Signers {
    /// Returns the keys as those that an actor registers or proposes now.
    pub(in crate::registry) fn new(version: i64, keys: &SignerKeys, actor: &Actor) -> Self {
        let (keys, changed_by) = (keys.document().clone(), actor.name().to_owned());
        Self { version, keys, changed_at: now(), changed_by }
    }
}

impl SignersChange {
    /// Reads the change of a name's keys that follows this version.
    ///
    /// # Errors
    /// [`RegistryError::InvalidBundle`] for another form, [`RegistryError::UntrustedSigner`] for another name,
    /// [`RegistryError::OutdatedSigners`] for another version.
    pub(in crate::registry) fn read(payload: &[u8], name: &str, present: i64) -> Result<Self, RegistryError> {
        let change: Self =
            serde_json::from_slice(payload).map_err(|_| RegistryError::InvalidBundle("malformed"))?;
        if change.name != name {
            return Err(RegistryError::UntrustedSigner);
        }
        if change.version != present + 1 {
            return Err(RegistryError::OutdatedSigners);
        }
        Ok(change)
    }
}

impl SignerKeys {
    /// Reads a JWK Set.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a set without keys, with a key that cannot be used, without distinct `kid`s, or that
    /// requires more signatures than it has different keys.
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
        let required = match document.get("required") {
            None => Some(1),
            Some(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        };
        let most = Quorum::most(&set);
        let quorum = required.and_then(|required| Quorum::new(set.clone(), required));
        let (Some(quorum), Some(any)) = (quorum, Quorum::new(set, 1)) else {
            let expected = format!("expected a number from 1 to {most}, the number of different keys");
            return Err(RegistryError::Invalid { field: "required", expected });
        };
        Ok(Self { document, quorum, any })
    }

    /// Returns the keys with another number of those that must have signed.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] for a number that the keys cannot reach.
    pub fn requiring(&self, required: usize) -> Result<Self, RegistryError> {
        let mut document = self.document.clone();
        if let Some(members) = document.as_object_mut() {
            members.insert("required".to_owned(), required.into());
        }
        Self::of(document)
    }

    /// Returns the JWK Set.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Returns the keys for verifying what is in force.
    pub fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// Returns the keys for verifying a proposal, for which one signature suffices.
    pub fn any(&self) -> &Quorum {
        &self.any
    }

    /// Returns the number of keys that must have signed.
    pub fn required(&self) -> usize {
        self.quorum.required()
    }

    /// Returns the names of the keys.
    pub fn kids(&self) -> Vec<&str> {
        self.quorum.keys().keys().iter().filter_map(|key| key.kid()).collect()
    }

    /// Returns false if fewer keys than required have signed the text as this revision of the policy.
    ///
    /// The policy itself is not read: a revision of an older command that this one would refuse is signed all the same.
    pub(in crate::registry) fn have_signed(&self, bundle: &str, name: &str, revision: i64) -> bool {
        match Agreed::verify(bundle.as_bytes(), BUNDLE_TYPE, &self.quorum, &PureRust) {
            Ok(agreed) => serde_json::from_slice(&agreed.payload)
                .is_ok_and(|claims: Claims| claims.name == name && claims.revision == revision),
            Err(error) => matches!(error, BundleError::Unverifiable),
        }
    }
}
