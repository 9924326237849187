//! Header names that a client may not send upstream: every auth slot, every identity or account that somebody might
//! trust, and the gateway's own controls.
//!
//! A name is recognised in any case and with `_` or `.` for `-`, since servers exist that read `X_API_KEY` and
//! `x-api-key` as one. Removing is for all spellings; judging a credential is only for the standard one.

use crate::policy::Policy;

/// The names, in lower case with hyphens.
const NAMES: [&str; 19] = [
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "xi-api-key",
    "cookie",
    "x-vercel-oidc-token",
    "x-forwarded-access-token",
    // Whom the credential's owner is billed as.
    "openai-organization",
    "openai-project",
    "x-goog-user-project",
    // What some servers take for the method or the path.
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    // The older names of two of the gateway's controls.
    "cf-cache-ttl",
    "cf-skip-cache",
];

/// What every name that begins so is.
const PREFIXES: [&str; 3] = ["cf-aig-", "cf-access-", "x-keyswap-"];

/// Whether the header is removed from every forwarded request, whatever it holds, unless a policy lets clients set it.
pub(crate) fn is_protected(name: &[u8]) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| is_spelling_of(start, prefix));
    // Nearly every name of every request is another by its length alone.
    let is = |protected: &&str| protected.len() == name.len() && is_spelling_of(name, protected);
    NAMES.iter().any(is) || PREFIXES.into_iter().any(begins)
}

/// The protected names of one policy.
pub(crate) struct Protected {
    /// The headers in which its own providers take their key, and its own issuers their JWTs.
    own: Vec<String>,
    /// Those that it lets clients set.
    open: Vec<&'static str>,
}

impl Protected {
    pub(crate) fn of(policy: &Policy) -> Self {
        let of_providers = policy.enabled_providers().filter_map(|provider| provider.auth.own_header());
        let own = of_providers.chain(policy.identity_headers());
        Self {
            own: own.filter(|name| !is_protected(name.as_bytes())).map(str::to_owned).collect(),
            open: policy.gateway.as_ref().map(|gateway| gateway.client_headers.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        let is_open = || self.open.iter().any(|open| is_spelling_of(name, open));
        (is_protected(name) && !is_open()) || self.own.iter().any(|own| is_spelling_of(name, own))
    }
}

/// Whether `name` is a spelling of `canonical`, which is in lower case with hyphens.
pub(crate) fn is_spelling_of(name: &[u8], canonical: &str) -> bool {
    name.len() == canonical.len()
        && name.iter().zip(canonical.bytes()).all(|(byte, other)| normal_byte(*byte) == other)
}

fn normal_byte(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        _ => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "x-original-url",
        ] {
            assert!(is_protected(name.as_bytes()), "{name}");
        }
        assert!(is_protected(format!("cf-access-{}", "x".repeat(200)).as_bytes()));
    }

    #[test]
    fn other_headers_pass() {
        for name in ["", "content-type", "anthropic-version", "x-api-keys", "cf-cache-status", "openai-beta"]
        {
            assert!(!is_protected(name.as_bytes()), "{name}");
        }
        assert!(!is_protected("x".repeat(200).as_bytes()));
    }
}
