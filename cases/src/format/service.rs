//! Answers of the services that a policy asks.

use serde::Deserialize;
use serde_json::Value;

/// The registry's answer for a token or a person. The registry knows no others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The token; this or the address is given.
    pub token: Option<String>,
    /// The person's address.
    pub email: Option<String>,
    /// The record, to which the digest or the address is added where it has none.
    pub record: Option<Value>,
    /// The status; 200 unless said.
    pub status: Option<u16>,
    /// The body, where it is no record.
    pub body: Option<String>,
}

impl Registered {
    /// Returns true where the answer is for one subject.
    pub(super) fn has_one_subject(&self) -> bool {
        self.token.is_some() != self.email.is_some()
    }
}

/// An object that a token holds at a provider. The registry knows no others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldObject {
    /// The provider.
    pub provider: String,
    /// The object's id there.
    pub id: String,
    /// The token of the holder.
    pub token: String,
    /// The team of the holder.
    pub team: Option<String>,
}

/// The answer of another service: an agent or an issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// The request target.
    pub target: String,
    /// The status; 200 unless said.
    pub status: Option<u16>,
    /// The body.
    pub body: String,
}
