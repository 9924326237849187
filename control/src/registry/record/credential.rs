//! Credentials of the data-plane API, each with a name and a role.

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::RegistryError;
use super::model::{read_digest, read_time, rfc3339, time};
use super::secret_text::SecretText;

const MAX_NAME_BYTES: usize = 64;

/// The right of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CredentialRole)]
pub enum Role {
    /// All of the data-plane API, with introspection.
    DataPlane,
    /// Introspection only.
    Introspection,
    /// The registry's metrics only.
    Metrics,
}

impl Role {
    /// Returns `data_plane`, `introspection` or `metrics`.
    pub fn name(self) -> &'static str {
        match self {
            Self::DataPlane => "data_plane",
            Self::Introspection => "introspection",
            Self::Metrics => "metrics",
        }
    }

    pub(in crate::registry) fn from_name(name: &str) -> Option<Self> {
        [Self::DataPlane, Self::Introspection, Self::Metrics].into_iter().find(|role| role.name() == name)
    }
}

/// The record of a credential. It does not contain the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Credential {
    /// The SHA-256 of the credential.
    #[serde(rename = "sha256", serialize_with = "hex", deserialize_with = "digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// The name of its holder. Two credentials may have one name, for a rotation.
    pub name: String,
    /// The right.
    pub role: Role,
    /// The time of creation.
    #[serde(serialize_with = "rfc3339", deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixTime,
    /// The time of the last use, to a minute. `None` before the first.
    #[serde(serialize_with = "some_rfc3339", deserialize_with = "some_time")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<UnixTime>,
}

impl Credential {
    /// Returns the id for people and logs: the first 16 digits of the SHA-256.
    pub fn id(&self) -> String {
        let mut id = self.digest.to_hex();
        id.truncate(16);
        id
    }
}

/// A credential that was created now.
#[derive(Debug)]
pub struct NewCredential {
    /// The credential itself, which the registry does not store.
    pub credential: SecretText,
    /// Its record.
    pub record: Credential,
}

/// Checks the name of a credential: letters, digits, `-`, `_` and `.`.
pub(in crate::registry) fn check_name(name: &str) -> Result<(), RegistryError> {
    let is_valid = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_valid.then_some(()).ok_or_else(|| RegistryError::Invalid {
        field: "name",
        expected: format!("expected 1 to {MAX_NAME_BYTES} letters, digits, `-`, `_` or `.`"),
    })
}

pub(super) fn hex<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&digest.to_hex())
}

pub(super) fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    read_digest(&String::deserialize(deserializer)?)
}

#[expect(clippy::ref_option, reason = "serde hands in references")]
pub(super) fn some_rfc3339<S: Serializer>(at: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

pub(super) fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixTime>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.as_deref().map(read_time).transpose()
}
