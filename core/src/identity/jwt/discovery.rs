//! OpenID Connect Discovery 1.0 section 4: where an issuer says that its keys are.
//!
//! The document must name the very issuer it was asked of (section 4.3), and its keys must lie at the host that the
//! document came from: another host is the policy's to name, in `jwks.url`, never a fetched document's.

use std::fmt;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::jws::MAX_DEPTH;
use crate::syntax::json;

/// Longer documents are refused unread.
pub const MAX_DISCOVERY_BYTES: usize = 64 * 1024;

/// Why a document does not tell where the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
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

impl std::error::Error for DiscoveryError {}

impl fmt::Display for DiscoveryError {
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
pub fn jwks_endpoint(document: &[u8], issuer: &str, source: &Endpoint) -> Result<Endpoint, DiscoveryError> {
    if document.len() > MAX_DISCOVERY_BYTES {
        return Err(DiscoveryError::TooLong);
    }
    let Ok(Value::Object(members)) = json::parse_within(MAX_DEPTH, document) else {
        return Err(DiscoveryError::Form);
    };
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(DiscoveryError::Issuer);
    }
    let endpoint = text("jwks_uri").and_then(|uri| Endpoint::parse(uri).ok());
    let endpoint = endpoint.ok_or(DiscoveryError::JwksUri)?;
    if endpoint.is_beside(source) { Ok(endpoint) } else { Err(DiscoveryError::OtherHost) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str = "https://id.example/realms/a";

    fn find(document: &str) -> Result<String, DiscoveryError> {
        let source = Endpoint::parse("https://id.example/realms/a/.well-known/openid-configuration").unwrap();
        jwks_endpoint(document.as_bytes(), ISSUER, &source).map(|endpoint| endpoint.path)
    }

    #[test]
    fn the_keys_lie_at_the_host_that_the_document_came_from() {
        let document = |uri: &str| format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{uri}","x":[]}}"#);
        for (uri, expect) in [
            ("https://id.example/keys", Ok("/keys".to_owned())),
            ("https://ID.example:443/keys?p=a", Ok("/keys?p=a".to_owned())),
            ("http://id.example/keys", Err(DiscoveryError::OtherHost)),
            ("https://id.example:8443/keys", Err(DiscoveryError::OtherHost)),
            ("https://evil.example/keys", Err(DiscoveryError::OtherHost)),
            ("https://id.example.evil/keys", Err(DiscoveryError::OtherHost)),
            ("https://id.example@evil/keys", Err(DiscoveryError::JwksUri)),
            ("https://id.example/a/../keys", Err(DiscoveryError::JwksUri)),
            ("file:///etc/passwd", Err(DiscoveryError::JwksUri)),
            ("/keys", Err(DiscoveryError::JwksUri)),
        ] {
            assert_eq!(find(&document(uri)), expect, "{uri}");
        }
    }

    #[test]
    fn another_issuer_or_an_odd_document_tells_nothing() {
        for (document, fault) in [
            (
                r#"{"issuer":"https://id.example/realms/a/","jwks_uri":"https://id.example/k"}"#,
                DiscoveryError::Issuer,
            ),
            (r#"{"jwks_uri":"https://id.example/k"}"#, DiscoveryError::Issuer),
            (
                r#"{"issuer":["https://id.example/realms/a"],"jwks_uri":"https://id.example/k"}"#,
                DiscoveryError::Issuer,
            ),
            (r#"{"issuer":"https://id.example/realms/a"}"#, DiscoveryError::JwksUri),
            (r#"{"issuer":"https://id.example/realms/a","jwks_uri":7}"#, DiscoveryError::JwksUri),
            (r#"{"issuer":"x","issuer":"https://id.example/realms/a"}"#, DiscoveryError::Form),
            ("[]", DiscoveryError::Form),
            ("<html>", DiscoveryError::Form),
            (&" ".repeat(MAX_DISCOVERY_BYTES + 1), DiscoveryError::TooLong),
        ] {
            assert_eq!(find(document), Err(fault), "{document:.60}");
        }
    }
}
