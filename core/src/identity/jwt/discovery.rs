//! The discovery of the address of an issuer's keys (OpenID Connect Discovery 1.0 section 4).
//!
//! The document must name the very issuer that it was fetched for (section 4.3). Its keys must lie at the host that it
//! came from. Only the policy names another host, in `jwks.url`; a fetched document never does.

use std::fmt;

use serde_json::Value;

use super::endpoint::Endpoint;
use super::jws::MAX_DEPTH;
use crate::syntax::json;

/// The longest document that is read, in bytes.
pub const MAX_DISCOVERY_BYTES: usize = 64 * 1024;

/// An error of a discovery document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// More than 64 KiB.
    TooLong,
    /// Not one strict JSON object.
    Form,
    /// `issuer` is missing, or names another issuer.
    Issuer,
    /// `jwks_uri` is missing, or is not a URL that can be fetched.
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

/// Returns the `jwks_uri` of the document that was fetched from `source` for `issuer`.
///
/// # Errors
/// [`DiscoveryError`] where the document is too long or malformed, or names another issuer or another host.
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
