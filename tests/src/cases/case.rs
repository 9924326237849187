//! A case: a request, and what must become of it.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A request and what must become of it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The behaviour it shows.
    pub name: String,
    /// The request head.
    pub request: CaseRequest,
    /// The request that the upstream sees.
    pub forward: Option<Forwarded>,
    /// The refusal that the caller gets instead.
    pub reply: Option<Reply>,
    /// The answer that the caller gets where the request asks for nothing of an upstream's.
    pub answer: Option<Answered>,
    /// The refusal that the caller gets where a connection cannot become a WebSocket.
    pub without_upgrades: Option<Reply>,
    /// The status with which Envoy answers before the filter sees the request.
    pub envoy: Option<u16>,
    /// The status with which Node answers before the authorizer sees the request; 0 where it closes the connection.
    pub node: Option<u16>,
    /// The target that Wasmtime shows the component, where it is another than the one that was sent.
    pub wasmtime_shows: Option<String>,
}

impl Case {
    /// Returns the case as it is in a host that cannot upgrade a connection.
    #[must_use]
    pub fn where_nothing_is_upgraded(self) -> Self {
        match self.without_upgrades {
            Some(reply) => {
                Self { forward: None, answer: None, reply: Some(reply), without_upgrades: None, ..self }
            }
            None => self,
        }
    }

    /// Returns the request as a component in Wasmtime sees it.
    pub fn as_shown_by_wasmtime(&self) -> CaseRequest {
        let target = self.wasmtime_shows.as_ref().unwrap_or(&self.request.target);
        CaseRequest { target: target.clone(), ..self.request.clone() }
    }
}

/// A request head.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseRequest {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The header lines.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// A request as the upstream sees it, without what belongs to the connection.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Forwarded {
    /// The method, where it is not said to be the client's.
    pub method: Option<String>,
    /// The authority.
    pub authority: String,
    /// The request target.
    pub target: String,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// An answer that is no refusal.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

/// A refusal.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The reason code.
    pub reason: String,
    /// The dialect of the SDK that understands the body.
    pub dialect: String,
}
