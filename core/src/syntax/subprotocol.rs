//! WebSocket subprotocols that carry credentials or choose accounts: the headers of clients that cannot set any.
//!
//! `Sec-WebSocket-Protocol` is a list; entries that hold a reserved name are taken out whichever slot identified the
//! caller, the others stay as they are.

use super::reserved::is_reserved_subprotocol;

/// The prefixes of a caller's token: those of OpenAI's and xAI's realtime APIs for browsers.
const TOKEN_PREFIXES: [&str; 2] = ["openai-insecure-api-key.", "xai-client-secret."];

/// Entries behind which the next one is a credential (Deepgram's API for browsers).
const SCHEMES: [&str; 2] = ["token", "bearer"];

/// Returns the proxy tokens among the entries of all header values.
pub(crate) fn tokens<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let mut is_scheme_before = false;
    values.flat_map(entries).filter(|entry| !entry.is_empty()).filter_map(move |entry| {
        let is_behind_scheme = std::mem::replace(&mut is_scheme_before, is_scheme(entry));
        let behind_prefix = TOKEN_PREFIXES.iter().find_map(|prefix| entry.strip_prefix(prefix.as_bytes()));
        behind_prefix.or((is_behind_scheme && !is_scheme_before).then_some(entry))
    })
}

/// Returns the first entry behind which a token stands, as it was written.
pub(crate) fn scheme<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    values.flat_map(entries).find(|entry| is_scheme(entry))
}

/// Returns whether an entry of this header value is not for an upstream.
pub(crate) fn has_reserved(value: &[u8]) -> bool {
    entries(value).any(|entry| is_scheme(entry) || is_reserved_subprotocol(entry))
}

/// Returns the entries that are for an upstream, joined with `, `; `None` where none is left.
pub(crate) fn without_reserved<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut is_key = false;
    let kept = values.flat_map(entries).filter(|entry| !entry.is_empty()).filter(|entry| {
        let is_behind_scheme = std::mem::replace(&mut is_key, is_scheme(entry));
        !(is_behind_scheme || is_key || is_reserved_subprotocol(entry))
    });
    let kept: Vec<&[u8]> = kept.collect();
    (!kept.is_empty()).then(|| kept.join(&b", "[..]))
}

fn entries(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

fn is_scheme(entry: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| entry.eq_ignore_ascii_case(scheme.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_entries_that_hold_a_key_go() {
        for (values, expect) in [
            (
                &["realtime, openai-insecure-api-key.t, openai-beta.realtime-v1"][..],
                Some("realtime, openai-beta.realtime-v1"),
            ),
            (&["realtime", "openai-insecure-api-key.t"], Some("realtime")),
            (&["OpenAI-Insecure-API-Key.t"], None),
            (&["cf-aig-authorization.t,xi-api-key.k , fal-api-key.k"], None),
            (&["a,,b"], Some("a, b")),
            (
                &["realtime, OpenAI-Organization.org-1, openai-project.proj_1, ai-gateway-team.dA"],
                Some("realtime"),
            ),
            (&["token, key", "a"], Some("a")),
            (&["a, Bearer, e.y.J, b"], Some("a, b")),
            (&["a, token", "key, b"], Some("a, b")),
            (&["token"], None),
            (&["token, bearer, key, tokens"], Some("tokens")),
            (&["a, \"openai-insecure-api-key.t\", b openai-insecure-api-key.t"], Some("a")),
            (&["openai-insecure-api-key"], Some("openai-insecure-api-key")),
        ] {
            let kept = without_reserved(values.iter().map(|value| value.as_bytes()));
            assert_eq!(kept.as_deref(), expect.map(str::as_bytes), "{values:?}");
        }
    }

    #[test]
    fn the_token_is_found_behind_its_prefix() {
        let value = b"realtime, openai-insecure-api-key.ptk_1 ,xi-api-key.k";
        let found = |values: &[&'static [u8]]| tokens(values.iter().copied()).collect::<Vec<_>>();
        assert_eq!(found(&[value]), [b"ptk_1"]);
        assert_eq!(found(&[b"xai-client-secret.ksb_1, XAI-client-secret.t"]), [b"ksb_1"]);
        assert_eq!(found(&[b"Token, ptk_1, a"]), [b"ptk_1"]);
        assert_eq!(found(&[b"a, bearer,", b", ptk_1"]), [b"ptk_1"]);
        assert_eq!(found(&[b"token, bearer, ptk_1, token"]), [b"ptk_1"]);
        assert!(has_reserved(value));
        assert!(!has_reserved(b"realtime"));
    }
}
