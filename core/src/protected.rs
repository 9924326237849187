//! Header names that a client may not send upstream: every auth slot, every identity or account that somebody might
//! trust, and the gateway's own controls.
//!
//! A name is recognised in any case and with `_` or `.` for `-`, since servers exist that read `X_API_KEY` and
//! `x-api-key` as one. Removing is for all spellings; judging a credential is only for the standard one.

use crate::policy::Policy;

/// No protected name is longer; a longer name is judged by its beginning.
const LONGEST: usize = 64;

/// Whether the header is removed from every forwarded request, whatever it holds, unless a policy lets clients set it.
pub(crate) fn is_protected(name: &[u8]) -> bool {
    let mut buffer = [0; LONGEST];
    let name = normal(name, &mut buffer);
    match name {
        b"authorization"
        | b"proxy-authorization"
        | b"api-key"
        | b"x-api-key"
        | b"x-goog-api-key"
        | b"xi-api-key"
        | b"cookie"
        | b"x-vercel-oidc-token"
        | b"x-forwarded-access-token"
        // Whom the credential's owner is billed as.
        | b"openai-organization"
        | b"openai-project"
        | b"x-goog-user-project"
        // What some servers take for the method or the path.
        | b"x-original-url"
        | b"x-rewrite-url"
        | b"x-http-method"
        | b"x-http-method-override"
        | b"x-method-override"
        // The older names of two of the gateway's controls.
        | b"cf-cache-ttl"
        | b"cf-skip-cache" => true,
        _ => [&b"cf-aig-"[..], b"cf-access-", b"x-keyswap-"].iter().any(|prefix| name.starts_with(prefix)),
    }
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

fn normal<'a>(name: &[u8], buffer: &'a mut [u8; LONGEST]) -> &'a [u8] {
    for (to, from) in buffer.iter_mut().zip(name) {
        *to = normal_byte(*from);
    }
    buffer.get(..name.len()).unwrap_or(buffer)
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
