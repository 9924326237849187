//! OpenID Connect Discovery 1.0 section 4: where an issuer says that its keys are.
//!
//! The document must name the very issuer it was asked of (section 4.3), and its keys must lie at the host that the
//! document came from: another host is the policy's to name, in `jwks.url`, never a fetched document's.

use std::fmt;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::jws::MAX_DEPTH;
use crate::json;

/// Longer documents are refused unread.
pub const MAX_DISCOVERY_BYTES: usize = 64 * 1024;

/// Why a document does not tell where the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryFault {
    /// More than 64 KiB.
    TooLong,
    /// Not one strict JSON object.
    Form,
    /// `issuer` is missing or another.
    Issuer,
    /// `jwks_uri` is missing or no URL that could be fetched.
    JwksUri,
    /// `jwks_uri` leads to another host.
    OtherHost,
}

impl fmt::Display for DiscoveryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the discovery document is longer than 64 KiB",
            Self::Form => "the discovery document is not one strict JSON object",
            Self::Issuer => "the discovery document is of another issuer",
            Self::JwksUri => "the discovery document has no `jwks_uri` that could be fetched",
            Self::OtherHost => "`jwks_uri` leads to another host: name it in `jwks.url`",
        })
    }
}

/// The `jwks_uri` of the document that was fetched from `source` for `issuer`.
pub fn jwks_endpoint(document: &[u8], issuer: &str, source: &Endpoint) -> Result<Endpoint, DiscoveryFault> {
    if document.len() > MAX_DISCOVERY_BYTES {
        return Err(DiscoveryFault::TooLong);
    }
    let Ok(Value::Object(members)) = json::parse_within(MAX_DEPTH, document) else {
        return Err(DiscoveryFault::Form);
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(DiscoveryFault::Issuer);
    }
    let endpoint = text("jwks_uri").and_then(|uri| Endpoint::parse(uri).ok());
    let endpoint = endpoint.ok_or(DiscoveryFault::JwksUri)?;
    if endpoint.is_beside(source) { Ok(endpoint) } else { Err(DiscoveryFault::OtherHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example/realms/a";

    fn find(document: &str) -> Result<String, DiscoveryFault> {
        let source = Endpoint::parse("https://id.example/realms/a/.well-known/openid-configuration").unwrap();
        jwks_endpoint(document.as_bytes(), ISSUER, &source).map(|endpoint| endpoint.path)
    }

    #[test]
    fn the_keys_lie_at_the_host_that_the_document_came_from() {
        let document = |uri: &str| format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{uri}","x":[]}}"#);
        for (uri, expect) in [
            ("https://id.example/keys", Ok("/keys".to_owned())),
            ("https://ID.example:443/keys?p=a", Ok("/keys?p=a".to_owned())),
            ("http://id.example/keys", Err(DiscoveryFault::OtherHost)),
            ("https://id.example:8443/keys", Err(DiscoveryFault::OtherHost)),
            ("https://evil.example/keys", Err(DiscoveryFault::OtherHost)),
            ("https://id.example.evil/keys", Err(DiscoveryFault::OtherHost)),
            ("https://id.example@evil/keys", Err(DiscoveryFault::JwksUri)),
            ("https://id.example/a/../keys", Err(DiscoveryFault::JwksUri)),
            ("file:///etc/passwd", Err(DiscoveryFault::JwksUri)),
            ("/keys", Err(DiscoveryFault::JwksUri)),
        ] {
            assert_eq!(find(&document(uri)), expect, "{uri}");
        }
    }

    #[test]
    fn another_issuer_or_an_odd_document_tells_nothing() {
        for (document, fault) in [
            (
                r#"{"issuer":"https://id.example/realms/a/","jwks_uri":"https://id.example/k"}"#,
                DiscoveryFault::Issuer,
            ),
            (r#"{"jwks_uri":"https://id.example/k"}"#, DiscoveryFault::Issuer),
            (
                r#"{"issuer":["https://id.example/realms/a"],"jwks_uri":"https://id.example/k"}"#,
                DiscoveryFault::Issuer,
            ),
            (r#"{"issuer":"https://id.example/realms/a"}"#, DiscoveryFault::JwksUri),
            (r#"{"issuer":"https://id.example/realms/a","jwks_uri":7}"#, DiscoveryFault::JwksUri),
            (r#"{"issuer":"x","issuer":"https://id.example/realms/a"}"#, DiscoveryFault::Form),
            ("[]", DiscoveryFault::Form),
            ("<html>", DiscoveryFault::Form),
            (&" ".repeat(MAX_DISCOVERY_BYTES + 1), DiscoveryFault::TooLong),
        ] {
            assert_eq!(find(document), Err(fault), "{document:.60}");
        }
    }
}
