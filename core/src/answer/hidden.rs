//! Headers of an upstream's answer that are not for callers: those about the account that the credential belongs to, and
//! those that may hold the credential itself, or one that the upstream minted.
//!
//! Providers invent such names, so a name is judged by its words and not by a list.

use crate::syntax::query::UPLOAD_ID;

/// The parts of an upstream's answer that are hidden from the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct Hidden {
    /// Hides the limits of the account, and the rest of them.
    pub(crate) limits: bool,
    /// Hides the names of the account: organisation, project, team.
    pub(crate) account: bool,
    /// The parameter of the request's target that carried the credential. The upstream may show the target.
    pub(crate) key: Option<&'static str>,
    /// Hides every header but a few: the answer is brokered, and a header may hold anything.
    pub(crate) all: bool,
    /// Hides the id of an upload, which works at the upstream without a credential.
    pub(crate) upload: bool,
}

/// Words that name an account, or a part of one.
const ACCOUNT_WORDS: [&str; 9] =
    ["account", "bill", "developer", "org", "organisation", "organization", "project", "team", "workspace"];
/// Last words of a name that tells a limit.
const LAST_WORDS_OF_LIMITS: [&str; 3] = ["limit", "remaining", "reset"];
/// Other names that tell a limit, of which the words do not say so.
const OTHER_LIMITS: [&str; 2] = ["current-concurrent-requests", "maximum-concurrent-requests"];
/// The headers of a brokered answer that callers need. No provider has a credential in one.
const OF_BROKERED: [&str; 4] = [":status", "date", "retry-after", "x-request-id"];
/// The address that the parts of an upload go to (Google's APIs).
pub(crate) const UPLOAD_ADDRESS: &str = "x-goog-upload-url";
/// Headers that tell the id of an upload.
const OF_UPLOADS: [&str; 3] = [UPLOAD_ADDRESS, "x-goog-upload-control-url", "x-guploader-uploadid"];
/// Headers that hold a URL, or text in which one may stand.
const OF_URLS: [&str; 5] = ["content-location", "link", "location", "refresh", "www-authenticate"];

impl Hidden {
    /// Returns whether anything is hidden.
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }

    /// Returns whether a line is hidden; its name may come in any case.
    pub(crate) fn hides(self, name: &[u8], value: &[u8]) -> bool {
        (self.all && !is_one_of(name, &OF_BROKERED))
            || (self.limits && tells_limit(name))
            || (self.account && words(name).any(|word| is_one_of(word, &ACCOUNT_WORDS)))
            || (self.upload && (is_one_of(name, &OF_UPLOADS) || has_parameter(value, UPLOAD_ID)))
            || self.key.is_some_and(|key| is_one_of(name, &OF_URLS) || has_parameter(value, key))
    }
}

fn words(name: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    name.split(|byte| matches!(byte, b'-' | b'_' | b'.'))
}

fn is_one_of(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()))
}

/// Returns whether a header tells a limit of the account. `Retry-After` does not: clients need it. Nor does a header in
/// which Envoy speaks of itself.
fn tells_limit(name: &[u8]) -> bool {
    let begins = |word: &[u8], with: &str| {
        word.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
    };
    let mut is_behind_rate = false;
    let is_rate_limit = words(name).any(|word| {
        let is_limit = begins(word, "ratelimit") || (is_behind_rate && begins(word, "limit"));
        is_behind_rate = word.eq_ignore_ascii_case(b"rate");
        is_limit || word.eq_ignore_ascii_case(b"quota")
    });
    let is_of_envoy = begins(name, "x-envoy-");
    (!is_of_envoy && is_rate_limit)
        || words(name).next_back().is_some_and(|last| is_one_of(last, &LAST_WORDS_OF_LIMITS))
        || is_one_of(name, &OTHER_LIMITS)
}

/// Returns whether a parameter of this name stands in a text, also where the text is percent-encoded.
fn has_parameter(text: &[u8], name: &str) -> bool {
    let is_at = |part: &[u8]| {
        part.split_at_checked(name.len()).is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(name.as_bytes())
                && (rest.starts_with(b"=") || rest.get(..3).is_some_and(|it| it.eq_ignore_ascii_case(b"%3d")))
        })
    };
    (0..text.len()).any(|at| text.get(at..).is_some_and(is_at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_names_of_an_account_are_told_from_all_else() {
        for (name, limits, account) in [
            ("x-ratelimit-limit-requests", true, false),
            ("X-RateLimit-Remaining-Tokens", true, false),
            ("x-ratelimit-reset-project-tokens", true, true),
            ("x-ratelimitbysize-query-cost", true, false),
            ("ratelimit", true, false),
            ("ratelimit-policy", true, false),
            ("x-rate-limit-foo", true, false),
            ("anthropic-ratelimit-unified-status", true, false),
            ("anthropic-priority-input-tokens-remaining", true, false),
            ("x-endpoint-monthly-call-limit", true, false),
            ("x-trial-endpoint-call-remaining", true, false),
            ("x-goog-quota-used", true, false),
            ("maximum-concurrent-requests", true, false),
            ("openai-organization", false, true),
            ("OpenAI-Project", false, true),
            ("anthropic-organization-id", false, true),
            ("anthropic-workspace-id", false, true),
            ("x-fireworks-account-id", false, true),
            ("x-fireworks-developer-email", false, true),
            ("dg-project-id", false, true),
            ("x-hf-bill-to", false, true),
            ("x-envoy-ratelimited", false, false),
            ("retry-after", false, false),
            ("retry-after-ms", false, false),
            ("x-should-retry", false, false),
            ("content-type", false, false),
            ("openai-processing-ms", false, false),
            ("openai-version", false, false),
            ("x-request-id", false, false),
            ("cf-aig-cache-status", false, false),
            ("x-goog-upload-url", false, false),
            ("limit-x", false, false),
            ("rate", false, false),
            ("", false, false),
        ] {
            let hides = |hidden: Hidden| hidden.hides(name.as_bytes(), b"1");
            assert_eq!(hides(Hidden { limits: true, ..Hidden::default() }), limits, "{name}");
            assert_eq!(hides(Hidden { account: true, ..Hidden::default() }), account, "{name}");
            assert!(!hides(Hidden::default()), "{name}");
        }
    }

    #[test]
    fn of_a_brokered_answer_callers_see_a_few_headers_only() {
        let hidden = Hidden { all: true, ..Hidden::default() };
        for (name, expect) in [
            (":status", false),
            ("Date", false),
            ("retry-after", false),
            ("x-request-id", false),
            ("content-length", true),
            ("content-encoding", true),
            ("content-type", true),
            ("set-cookie", true),
            ("location", true),
            ("x-client-secret", true),
            ("", true),
        ] {
            assert_eq!(hidden.hides(name.as_bytes(), b"1"), expect, "{name}");
        }
    }

    #[test]
    fn of_the_answer_to_an_upload_no_header_tells_its_id() {
        let hidden = Hidden { upload: true, ..Hidden::default() };
        for (name, value, expect) in [
            ("X-Goog-Upload-URL", "https://a/upload?x", true),
            ("x-goog-upload-control-url", "", true),
            ("x-guploader-uploadid", "AHmU", true),
            ("location", "https://a/upload?uploadType=resumable&upload_id=AHmU", true),
            ("x-debug", "UPLOAD_ID%3DAHmU", true),
            ("location", "https://a/other", false),
            ("x-goog-upload-status", "active", false),
            ("x-goog-upload-chunk-granularity", "262144", false),
        ] {
            assert_eq!(hidden.hides(name.as_bytes(), value.as_bytes()), expect, "{name}: {value}");
            assert!(!Hidden::default().hides(name.as_bytes(), value.as_bytes()), "{name}");
        }
    }

    #[test]
    fn where_the_target_held_a_key_what_may_show_the_target_is_hidden() {
        let hidden = Hidden { key: Some("key"), ..Hidden::default() };
        for (name, value, expect) in [
            ("Location", "https://a/", true),
            ("content-location", "/", true),
            ("link", "</>; rel=next", true),
            ("refresh", "0", true),
            ("www-authenticate", "Bearer", true),
            ("x-debug", "GET /ws?alt=sse&key=AIza", true),
            ("x-debug", "KEY%3DAIza", true),
            ("x-debug", "key", false),
            ("x-debug", "the key is wrong", false),
            ("x-debug", "", false),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", false),
        ] {
            assert_eq!(hidden.hides(name.as_bytes(), value.as_bytes()), expect, "{name}: {value}");
        }
        assert!(Hidden { key: Some("api_key"), ..hidden }.hides(b"x", b"?Api_Key=1"));
    }
}
