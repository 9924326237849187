//! Objects that callers keep at providers, and the principals that hold them.
//!
//! An object has one holder. Its id is compared byte for byte, and its kind is no part of its key.

use std::fmt;

use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::identity::person_digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::RegistryError;
use super::model::{read_digest, read_time};
use super::reach::Reach;

/// The longest id of an object: a path of resources at a cloud provider fits.
const MAX_ID_BYTES: usize = 512;

/// The longest name of a provider, and of a kind.
const MAX_NAME_BYTES: usize = 64;

/// The longest email address.
const MAX_EMAIL_BYTES: usize = 254;

/// The kind of objects of which an administrator told none.
pub(crate) const UNKNOWN_KIND: &str = "object";

/// The key of an object: the provider by its id in policies, and the object's id there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKey {
    provider: String,
    id: String,
}

impl ObjectKey {
    /// Returns a key. The provider is a name of 1 to 64 letters, digits, `-` or `_`; the id has 1 to 512 bytes without
    /// control characters.
    pub fn new(provider: &str, id: &str) -> Result<Self, RegistryError> {
        let is_id = (1..=MAX_ID_BYTES).contains(&id.len()) && !id.chars().any(char::is_control);
        if !is_name(provider) {
            return Err(invalid("provider", "expected 1 to 64 letters, digits, `-` or `_`"));
        }
        if !is_id {
            return Err(invalid("id", "expected 1 to 512 bytes without control characters"));
        }
        Ok(Self { provider: provider.to_owned(), id: id.to_owned() })
    }

    /// Returns the digest by which data planes ask for the object.
    pub fn digest(&self) -> Digest {
        // No part has a NUL, so no two keys have the same text, and no token or person has the text of one.
        Digest::of(format!("object\0{}\0{}", self.provider, self.id).as_bytes())
    }

    /// Returns the provider's id.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the id of the object at the provider.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.id)
    }
}

/// Checks the name of a kind.
pub(in crate::registry) fn check_kind(kind: &str) -> Result<String, RegistryError> {
    let fits = is_name(kind) && !kind.bytes().any(|byte| byte.is_ascii_uppercase());
    fits.then(|| kind.to_owned())
        .ok_or_else(|| invalid("kind", "expected 1 to 64 lower-case letters, digits, `-` or `_`"))
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn invalid(field: &'static str, expected: &str) -> RegistryError {
    RegistryError::Invalid { field, expected: expected.to_owned() }
}

/// A holder as administrators name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A token, or another principal by its digest.
    Token(Digest),
    /// A person, by the email address in lower case.
    Person(String),
}

impl Holder {
    /// Parses `token:<sha256>` or `person:<email>`. An email address becomes lower case.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let found = match text.split_once(':') {
            Some(("token", hex)) => Digest::from_hex(hex).map(Self::Token),
            Some(("person", email)) => {
                let email = email.trim().to_lowercase();
                let fits = email.contains('@') && email.len() <= MAX_EMAIL_BYTES;
                (fits && email.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Self::Person(email))
            }
            _ => None,
        };
        found.ok_or_else(|| invalid("holder", "expected `token:SHA256` or `person:EMAIL`"))
    }

    /// Returns the digest of the principal, as data planes tell it.
    pub(in crate::registry) fn digest(&self) -> Digest {
        match self {
            Self::Token(digest) => *digest,
            Self::Person(email) => person_digest(email),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(digest) => write!(f, "token:{}", digest.to_hex()),
            Self::Person(email) => write!(f, "person:{email}"),
        }
    }
}

impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Holder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A principal with the label, the owner and the team under which it holds objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct HeldBy {
    pub(in crate::registry) principal: Digest,
    pub(in crate::registry) label: String,
    pub(in crate::registry) owner: Option<String>,
    pub(in crate::registry) team: Option<String>,
}

impl HeldBy {
    /// Returns true for a person, whose digest is that of the address.
    pub(in crate::registry) fn is_person(&self) -> bool {
        self.owner.as_deref().is_some_and(|owner| person_digest(owner) == self.principal)
    }
}

/// The state of a holder in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HolderState {
    /// A token of the holder, or the person, may make requests.
    Active,
    /// The holder is in the registry, disabled or expired.
    Inactive,
    /// The holder is not in the registry: it was deleted, or only a policy or an issuer knows it.
    Unknown,
}

impl HolderState {
    /// Returns `active`, `inactive` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Unknown => "unknown",
        }
    }

    pub(in crate::registry) fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Unknown].into_iter().find(|state| state.name() == name)
    }
}

/// An object that a data plane claims for a principal.
#[derive(Clone, Debug)]
pub struct ObjectClaim {
    /// The key of the object.
    pub key: ObjectKey,
    /// The kind, such as `file`.
    pub kind: String,
    /// The principal that made the object.
    pub principal: Digest,
    /// The owner of its record.
    pub owner: Option<String>,
    /// The team of its record.
    pub team: Option<String>,
    /// The time at which the provider deletes the object, `None` if that is not known.
    pub expires_at: Option<UnixTime>,
}

/// An object and its holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct KeptObject {
    /// The digest of the key.
    #[serde(rename = "sha256", serialize_with = "hex", deserialize_with = "digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
    /// The provider.
    pub provider: String,
    /// The kind.
    pub kind: String,
    /// The id at the provider.
    pub id: String,
    /// The principal that holds the object.
    #[serde(serialize_with = "hex", deserialize_with = "digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub principal: Digest,
    /// The label of the principal when it got the object, empty if it was not known.
    pub label: String,
    /// The owner when the principal got the object.
    pub owner: Option<String>,
    /// The team when the principal got the object.
    pub team: Option<String>,
    /// The state of the holder.
    pub holder: HolderState,
    /// The time at which the registry was told of the object.
    #[serde(serialize_with = "super::model::rfc3339", deserialize_with = "super::model::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: UnixTime,
    /// The time at which the provider deletes the object.
    #[serde(serialize_with = "rfc3339_or_null", deserialize_with = "time_or_null")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<UnixTime>,
    /// The sequence number of the newest change that the record may have.
    pub version: i64,
}

impl KeptObject {
    /// Returns the name for people and the audit log: provider and id.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider, self.id)
    }

    /// Returns true from the moment at which the provider deletes the object.
    pub(in crate::registry) fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The objects that an administrator gave to a holder, and those that had a holder already, which they keep.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Adopted {
    /// The objects that had no holder.
    pub adopted: Vec<KeptObject>,
    /// The objects that had one.
    pub held: Vec<KeptObject>,
}

/// A part of a transfer of all objects of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Moved {
    /// The objects that were transferred.
    pub moved: u32,
    /// Set if there may be more: the transfer has to be repeated.
    pub more: bool,
}

/// The requested part of the list of objects, newest first.
#[derive(Clone, Debug, Default)]
pub struct ObjectListing {
    /// The provider.
    pub provider: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// The holder.
    pub holder: Option<Holder>,
    /// The owner, an email address.
    pub owner: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// Set to show only objects whose holder makes no requests any more, as far as the registry knows.
    pub left: bool,
    /// The [`super::model::Page::next`] of the previous page.
    pub after: Option<i64>,
    /// The largest number of entries, from 1 to 200; 50 by default.
    pub limit: Option<u32>,
    /// The part of the registry that objects must be in.
    pub reach: Reach,
}

#[expect(clippy::ref_option, reason = "serde hands in references")]
fn rfc3339_or_null<S: Serializer>(at: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(|at| at.to_string()).serialize(serializer)
}

fn time_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixTime>, D::Error> {
    Option::<String>::deserialize(deserializer)?.as_deref().map(read_time).transpose()
}

fn hex<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&digest.to_hex())
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    read_digest(&String::deserialize(deserializer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_planes_and_the_registry_compute_the_same_digest() {
        let digest = |provider, id| ObjectKey::new(provider, id).unwrap().digest();
        assert_eq!(digest("openai", "file-abc"), Digest::of(b"object\0openai\0file-abc"));
        // Another case, another provider and another split of the same letters are other objects.
        for (provider, id) in [("openai", "FILE-abc"), ("groq", "file-abc"), ("openaif", "ile-abc")] {
            assert_ne!(digest(provider, id), digest("openai", "file-abc"), "{provider} {id}");
        }
    }

    #[test]
    fn a_key_has_no_control_characters_and_bounded_parts() {
        let long = "i".repeat(512);
        for id in ["a", "projects/p/locations/eu/cachedContents/1", "ft:gpt-4o:acme::x", "ä b", &long] {
            assert!(ObjectKey::new("vertex-ai_2", id).is_ok(), "{id}");
        }
        for id in ["", "a\0b", "a\nb", "\u{85}", &format!("{long}i")] {
            assert!(ObjectKey::new("openai", id).is_err(), "{id:?}");
        }
        for provider in ["", "open ai", "a/b", "a\0b", "ö", &"p".repeat(65)] {
            assert!(ObjectKey::new(provider, "file-1").is_err(), "{provider:?}");
        }
    }

    #[test]
    fn a_holder_is_read_as_it_is_written() {
        let hex = "0123456789abcdef".repeat(4);
        for (text, written) in [
            (format!("token:{hex}"), format!("token:{hex}")),
            ("person:Alice@Acme.example".to_owned(), "person:alice@acme.example".to_owned()),
        ] {
            assert_eq!(Holder::parse(&text).unwrap().to_string(), written);
        }
        for text in ["", "token:ci", "person:alice", "person:a\u{e4}@b", "owner:a@b", "team:a", "a@b"] {
            assert!(Holder::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_person_is_told_by_the_digest_of_the_address() {
        let held = |principal, owner: Option<&str>| HeldBy {
            principal,
            label: String::new(),
            owner: owner.map(str::to_owned),
            team: None,
        };
        let alice = Holder::Person("alice@acme.example".to_owned()).digest();
        assert!(held(alice, Some("alice@acme.example")).is_person());
        assert!(!held(alice, Some("bob@acme.example")).is_person());
        assert!(!held(Digest::of(b"t"), Some("alice@acme.example")).is_person());
        assert!(!held(alice, None).is_person());
    }
}
