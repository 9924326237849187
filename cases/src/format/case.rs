//! A case: a request, and the outcome that it must have.

use keyswap_core::base::Moment;
use keyswap_core::request::CertificatePart;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::expectation::{Answer, Forward, Reply};
use super::request::Request;
use super::time::time;

/// A request and its expected outcome: one of `forward`, `reply` and `answer`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The behaviour that the case shows.
    pub name: String,
    /// The time at which the request comes; the file's unless said.
    #[serde(default, deserialize_with = "time")]
    pub at: Option<Moment>,
    /// The request head.
    pub request: Request,
    /// The body of the request: text, or a value that is sent as JSON.
    pub body: Option<Value>,
    /// The JWT that comes with the request.
    pub identity: Option<Identity>,
    /// The client certificate of the connection.
    pub certificate: Option<ClientCertificate>,
    /// The request that the upstream must see.
    pub forward: Option<Forward>,
    /// The refusal that the caller must get.
    pub reply: Option<Reply>,
    /// The answer that the caller must get where the request asks for nothing of an upstream's.
    pub answer: Option<Answer>,
    /// The provider.
    pub provider: Option<String>,
    /// The label of the principal.
    pub principal: Option<String>,
    /// The name of an upstream credential that is used.
    pub credential: Option<String>,
    /// The refusal that replaces the outcome in hosts that cannot upgrade a connection.
    pub without_upgrades: Option<Reply>,
    /// The status with which Envoy answers before the engine sees the request.
    pub envoy: Option<u16>,
    /// The status with which Node answers before the engine sees the request; 0 where it closes the connection.
    pub node: Option<u16>,
    /// The target that Wasmtime shows the engine, where it differs from the one that was sent.
    pub wasmtime_shows: Option<String>,
}

/// The issuer of a JWT, by its name in the policy, and the claims; null leaves one out.
#[derive(Clone, Debug, Deserialize)]
pub struct Identity {
    /// The issuer's name.
    pub issuer: String,
    /// The claims that replace those that the policy accepts.
    #[serde(flatten)]
    pub claims: Map<String, Value>,
}

/// A client certificate, as a host shows it: one that its listener has verified.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The first URI, such as a SPIFFE ID.
    pub uri: Option<String>,
    /// The first DNS name.
    pub dns_name: Option<String>,
    /// The SHA-256 of the certificate in DER, as 64 hexadecimal digits.
    pub sha256: Option<String>,
}

impl ClientCertificate {
    /// Returns a part of the certificate.
    pub fn part(&self, part: CertificatePart) -> Option<Vec<u8>> {
        let text = match part {
            CertificatePart::Uri => self.uri.as_deref(),
            CertificatePart::DnsName => self.dns_name.as_deref(),
            CertificatePart::Sha256 => self.sha256.as_deref(),
            CertificatePart::IsVerified => Some("true"),
        };
        text.map(|text| text.as_bytes().to_vec())
    }
}

impl Case {
    /// Returns the bytes of the body.
    pub fn body(&self) -> Option<Vec<u8>> {
        let text = |body: &Value| body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        self.body.as_ref().map(|body| text(body).into_bytes())
    }

    /// Returns true where the case expects one outcome.
    pub(super) fn has_one_outcome(&self) -> bool {
        let outcomes = [self.forward.is_some(), self.reply.is_some(), self.answer.is_some()];
        outcomes.iter().filter(|it| **it).count() == 1
    }

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
}
