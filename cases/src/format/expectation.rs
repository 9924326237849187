//! Expected outcomes of a request. A field that is left out is not compared.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A request as the upstream must see it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The method; the client's unless said.
    pub method: Option<String>,
    /// The authority.
    pub authority: Option<String>,
    /// The request target.
    pub target: Option<String>,
    /// All headers, names in lower case, without those of the connection.
    pub headers: Option<BTreeMap<String, String>>,
}

/// A refusal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The status.
    pub status: Option<u16>,
    /// The reason code.
    pub reason: Option<String>,
    /// The dialect of the SDK that understands the body.
    pub dialect: Option<String>,
}

/// An answer that is no refusal.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The status.
    pub status: Option<u16>,
    /// All headers, names in lower case.
    pub headers: Option<BTreeMap<String, String>>,
    /// The body.
    pub body: Option<String>,
}
