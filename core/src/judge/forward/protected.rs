//! Header names that a client may not send upstream: those of the table of reserved names, identities that a service
//! might trust, and the gateway's own controls.
//!
//! All spellings are removed; only the standard one is judged as a credential.

use crate::policy::Policy;
use crate::syntax::{HeaderName, is_spelling_of};

/// The protected names of one policy.
pub(crate) struct Protected {
    /// The headers in which the policy's own providers take their key, and its issuers their JWTs.
    own: Vec<String>,
    /// The names that the policy lets clients set.
    open: Vec<&'static str>,
}

impl Protected {
    pub(crate) fn of(policy: &Policy) -> Self {
        let of_providers = policy.enabled_providers().filter_map(|provider| provider.auth.own_header());
        let own = of_providers.chain(policy.identity_headers());
        Self {
            own: own.filter(|name| !is_reserved(name.as_bytes())).map(str::to_owned).collect(),
            open: policy.gateway.as_ref().map(|gateway| gateway.client_headers.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.covers(name, is_reserved(name))
    }

    /// Returns whether the policy protects names beside the reserved ones.
    pub(crate) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Returns whether the policy protects a name, of which it is known whether it is reserved.
    pub(crate) fn covers(&self, name: &[u8], is_reserved: bool) -> bool {
        // A client sets the header that is listed, and no other spelling of it.
        let is_open = || self.open.iter().any(|open| name.eq_ignore_ascii_case(open.as_bytes()));
        (is_reserved && !is_open()) || self.own.iter().any(|own| is_spelling_of(name, own))
    }
}

/// Returns whether the header is removed from every forwarded request, whatever it holds, unless a policy lets clients
/// set it.
fn is_reserved(name: &[u8]) -> bool {
    HeaderName::of(name).is_reserved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::jwt::Issuer;

    #[test]
    fn every_spelling_of_a_protected_name_is_recognised() {
        for name in [
            "authorization",
            "Authorization",
            "AUTHORIZATION",
            "x_api_key",
            "X.Api.Key",
            "x-api_key",
            "X_Goog.Api-Key",
            "api_key",
            "cookie",
            "cf-aig-authorization",
            "cf_aig_authorization",
            "CF-AIG-Metadata",
            "cf-aig-cache-key",
            "cf-aig-byok-alias",
            "cf-aig-anything-new",
            "cf-access-jwt-assertion",
            "Cf.Access.Token",
            "x-vercel-oidc-token",
            "x-keyswap-shadow",
            "x-http-method-override",
            "cf-aig-collect-log",
            "CF-AIG-Skip-Cache",
            "cf_cache_ttl",
            "cf-skip-cache",
            "OpenAI-Organization",
            "anthropic-workspace-id",
            "X-HF-Bill-To",
            "x-fireworks-account-id",
            "x-original-url",
        ] {
            assert!(is_reserved(name.as_bytes()), "{name}");
        }
        assert!(is_reserved(format!("cf-access-{}", "x".repeat(200)).as_bytes()));
    }

    #[test]
    fn other_headers_pass() {
        for name in ["", "content-type", "anthropic-version", "x-api-keys", "cf-cache-status", "openai-beta"]
        {
            assert!(!is_reserved(name.as_bytes()), "{name}");
        }
        assert!(!is_reserved("x".repeat(200).as_bytes()));
    }

    #[test]
    fn a_client_sets_the_header_that_the_policy_lists_and_no_other_spelling_of_it() {
        let document = r#"{"version": "keyswap/v1", "credentials": {"cf": [{"env": "KEY"}]},
            "gateway": {"cloudflare": {"account": "0123456789abcdef0123456789abcdef", "gateway": "g", "credential": "cf",
                                       "mode": "byok", "client_headers": ["cache-ttl"]}}}"#;
        let protected = Protected::of(&Policy::from_json(document.as_bytes()).unwrap());
        for (name, goes) in [
            ("cf-aig-cache-ttl", true),
            ("CF-AIG-Cache-TTL", true),
            ("cf_aig_cache_ttl", false),
            ("cf-aig-cache.ttl", false),
            ("cf-aig-skip-cache", false),
        ] {
            assert_eq!(protected.has(name.as_bytes()), !goes, "{name}");
        }
    }

    #[test]
    fn no_header_in_which_a_preset_finds_a_jwt_is_ever_forwarded() {
        let keys = r#"{"url": "https://keys.example.com/jwks"}"#;
        let issuers = [
            ("cloudflare_access", "https://acme.cloudflareaccess.com", "{}"),
            ("vercel_oidc", "https://oidc.vercel.com/acme", r#"{"project_id": ["prj_1"]}"#),
            ("oidc", "https://login.example.com", "{}"),
        ];
        for (preset, url, claims) in issuers {
            let principals = if preset == "vercel_oidc" { "any" } else { "known" };
            let document = format!(
                r#"{{"version": "keyswap/v1", "credentials": {{"openai": [{{"env": "KEY"}}]}}, "principals": [],
                    "issuers": [{{"name": "a", "preset": "{preset}", "issuer": "{url}", "audiences": ["b"],
                                  "claims": {claims}, "principals": "{principals}", "jwks": {keys}}}]}}"#
            );
            let policy = Policy::from_json(document.as_bytes()).unwrap();
            let slots: Vec<_> = policy.issuers().iter().flat_map(Issuer::slots).collect();
            assert_eq!(slots.is_empty(), preset == "oidc");
            for slot in slots {
                assert!(is_reserved(slot.header().as_bytes()), "{slot}");
            }
        }
    }
}
