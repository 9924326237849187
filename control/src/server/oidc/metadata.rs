//! The endpoints of a provider, from its discovery document (`OpenID` Connect Discovery 1.0 section 3, RP-Initiated Logout 1.0
//! section 2.1).

use anyhow::{Context as _, ensure};
use reqwest::Url;
use serde::Deserialize;

use crate::server::issuer_keys::is_loopback;

/// The document, as far as it matters here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The endpoints of a provider.
pub(super) struct Metadata {
    pub(super) authorization: Url,
    pub(super) token: Url,
    /// The endpoint at which a browser signs out, `None` if the provider has none that is safe to go to.
    pub(super) end_session: Option<Url>,
    /// Set if the client's secret goes in the body of a request, not in its head.
    pub(super) takes_secret_in_body: bool,
    /// Set if the provider always names itself when the browser comes back (RFC 9207).
    pub(super) names_itself: bool,
}

impl Metadata {
    /// Reads the document of an issuer.
    pub(super) fn read(document: &[u8], issuer: &str) -> anyhow::Result<Self> {
        let document: Document = serde_json::from_slice(document).ok().context("it lacks an endpoint")?;
        ensure!(document.issuer == issuer, "it is of another issuer");
        let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
        let has = |name: &str| methods.iter().any(|method| method == name);
        let may_be_plain = Url::parse(issuer).is_ok_and(|url| is_plain_and_local(&url));
        let endpoint = |text: &str| endpoint(text, may_be_plain);
        Ok(Self {
            authorization: endpoint(&document.authorization_endpoint)?,
            token: endpoint(&document.token_endpoint)?,
            // No sign-in depends on it.
            end_session: document.end_session_endpoint.and_then(|text| endpoint(&text).ok()),
            takes_secret_in_body: !has("client_secret_basic") && has("client_secret_post"),
            names_itself: document.authorization_response_iss_parameter_supported,
        })
    }
}

/// Reads the URL of an endpoint: with TLS, or plain on this machine if the issuer is so. On a machine of its users, another issuer's
/// document must not lead to whatever listens there.
fn endpoint(text: &str, may_be_plain: bool) -> anyhow::Result<Url> {
    let url = Url::parse(text).ok().context("an endpoint is no URL")?;
    let is_safe = url.scheme() == "https" || (may_be_plain && is_plain_and_local(&url));
    ensure!(is_safe && url.fragment().is_none() && url.username().is_empty(), "an endpoint has no TLS");
    Ok(url)
}

fn is_plain_and_local(url: &Url) -> bool {
    url.scheme() == "http" && is_loopback(url)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: &Value) -> anyhow::Result<Metadata> {
        read_of("https://id.example", change)
    }

    fn read_of(issuer: &str, change: &Value) -> anyhow::Result<Metadata> {
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": "https://id.example/authorize",
            "token_endpoint": "https://id.example/token",
        });
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        Metadata::read(document.to_string().as_bytes(), issuer)
    }

    #[test]
    fn a_provider_names_itself_and_endpoints_with_tls() {
        assert!(read(&json!({})).is_ok());
        for change in [
            json!({"issuer": "https://id.example/"}),
            json!({"issuer": "https://evil.example"}),
            json!({"token_endpoint": "http://id.example/token"}),
            json!({"token_endpoint": null}),
            json!({"authorization_endpoint": "http://localhost/a"}),
            json!({"authorization_endpoint": "http://127.0.0.1:1/a"}),
            json!({"token_endpoint": "http://[::1]:1/token"}),
            json!({"authorization_endpoint": "javascript:alert(1)"}),
            json!({"authorization_endpoint": "https://id.example/a#b"}),
        ] {
            assert!(read(&change).is_err(), "{change}");
        }
    }

    #[test]
    fn endpoints_without_tls_are_those_of_an_issuer_on_this_machine() {
        let plain = |place: &str| json!({"token_endpoint": format!("http://{place}/token")});
        for (issuer, place, expect) in [
            ("http://127.0.0.1:9", "127.0.0.1:9", true),
            ("http://127.0.0.1:9", "[::1]:9", true),
            ("http://127.0.0.1:9", "id.example", false),
            ("http://id.example", "127.0.0.1:9", false),
            ("https://127.0.0.1:9", "127.0.0.1:9", false),
        ] {
            assert_eq!(read_of(issuer, &plain(place)).is_ok(), expect, "{issuer} {place}");
        }
    }

    #[test]
    fn a_browser_signs_out_at_an_endpoint_with_tls_only() {
        for (endpoint, expect) in [
            (json!(null), None),
            (json!("https://id.example/logout?a=b"), Some("https://id.example/logout?a=b")),
            (json!("http://127.0.0.1:1/logout"), None),
            (json!("http://id.example/logout"), None),
            (json!("javascript:alert(1)"), None),
            (json!("//evil.example"), None),
            (json!(""), None),
        ] {
            let found = read(&json!({"end_session_endpoint": endpoint})).unwrap();
            assert_eq!(found.end_session.as_ref().map(Url::as_str), expect, "{endpoint}");
        }
    }

    #[test]
    fn the_secret_goes_in_the_body_only_where_nothing_else_is_taken() {
        for (methods, expect) in [
            (json!(null), false),
            (json!(["client_secret_basic", "client_secret_post"]), false),
            (json!(["client_secret_post"]), true),
        ] {
            let found = read(&json!({"token_endpoint_auth_methods_supported": methods})).unwrap();
            assert_eq!(found.takes_secret_in_body, expect, "{methods}");
        }
    }
}
