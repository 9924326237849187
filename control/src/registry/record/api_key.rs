//! API keys: the credentials of programs that use the administration, each with a name, a role and an expiry.

use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Serialize};

use super::admin_role::AdminRole;
use super::secret_text::SecretText;

/// The record of an API key. It does not contain the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ApiKey {
    /// The SHA-256 of the key.
    #[serde(
        rename = "sha256",
        serialize_with = "super::credential::hex",
        deserialize_with = "super::credential::digest"
    )]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// The name, which no other key has.
    pub name: String,
    /// The role.
    #[serde(flatten)]
    #[schema(value_type = super::admin_role::Written)]
    pub role: AdminRole,
    /// The time of creation.
    #[serde(serialize_with = "super::model::rfc3339", deserialize_with = "super::model::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixTime,
    /// The actor that created the key.
    pub created_by: String,
    /// The time from which the key is refused.
    #[serde(serialize_with = "super::model::rfc3339", deserialize_with = "super::model::time")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: UnixTime,
    /// The time of the last use, to a minute. `None` before the first.
    #[serde(
        serialize_with = "super::credential::some_rfc3339",
        deserialize_with = "super::credential::some_time"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen: Option<UnixTime>,
}

impl ApiKey {
    /// Returns the id for people: the first 16 digits of the SHA-256.
    pub fn id(&self) -> String {
        let mut id = self.digest.to_hex();
        id.truncate(16);
        id
    }
}

/// An API key that was created now.
#[derive(Debug)]
pub struct NewApiKey {
    /// The key itself, which the registry does not store.
    pub key: SecretText,
    /// Its record.
    pub record: ApiKey,
}
