//! WebSocket subprotocols that carry credentials: the auth slot of clients that cannot set headers.
//!
//! `Sec-WebSocket-Protocol` is a list; entries that hold a key are taken out whichever slot identified the
//! caller, the others stay as they are.

/// The prefix of a caller's token (OpenAI's realtime API for browsers).
const TOKEN_PREFIX: &str = "openai-insecure-api-key.";

/// Prefixes of entries that hold a credential of some service.
const KEY_PREFIXES: [&str; 4] = [TOKEN_PREFIX, "cf-aig-authorization.", "xi-api-key.", "fal-api-key."];

/// Returns the proxy tokens among the entries of one header value.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    entries(value).filter_map(|entry| entry.strip_prefix(TOKEN_PREFIX.as_bytes()))
}

/// Returns whether an entry of this header value holds a credential.
pub(crate) fn has_key(value: &[u8]) -> bool {
    entries(value).any(is_key)
}

/// Returns the entries that hold no credential, joined with `, `; `None` where none is left.
pub(crate) fn without_keys<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let kept: Vec<&[u8]> =
        values.flat_map(entries).filter(|entry| !entry.is_empty() && !is_key(entry)).collect();
    (!kept.is_empty()).then(|| kept.join(&b", "[..]))
}

fn entries(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Returns whether a prefix stands anywhere in the entry: quotes and odd separators hide no key.
fn is_key(entry: &[u8]) -> bool {
    let has =
        |prefix: &&str| entry.windows(prefix.len()).any(|part| part.eq_ignore_ascii_case(prefix.as_bytes()));
    KEY_PREFIXES.iter().any(has)
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
            (&["a, \"openai-insecure-api-key.t\", b openai-insecure-api-key.t"], Some("a")),
            (&["openai-insecure-api-key"], Some("openai-insecure-api-key")),
        ] {
            let kept = without_keys(values.iter().map(|value| value.as_bytes()));
            assert_eq!(kept.as_deref(), expect.map(str::as_bytes), "{values:?}");
        }
    }

    #[test]
    fn the_token_is_found_behind_its_prefix() {
        let value = b"realtime, openai-insecure-api-key.ptk_1 ,xi-api-key.k";
        assert_eq!(tokens(value).collect::<Vec<_>>(), [b"ptk_1"]);
        assert!(has_key(value));
        assert!(!has_key(b"realtime"));
    }
}
