//! A reading of rewritten heads that shares nothing with the engine: slow, and written from the book
//! (`docs/policies/tokens.md`, `docs/policies/providers.md`, `docs/policies/gateways.md`).

use keyswap_core::judge::Rewrite;
use keyswap_core::request::RequestHead;

use super::driver::REAL;

/// The headers that never go upstream as a caller sent them, with `-` for every mark.
const REMOVED: [&str; 25] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "xi-api-key",
    "apikey",
    "x-forwarded-access-token",
    "x-vercel-oidc-token",
    "openai-organization",
    "openai-project",
    "anthropic-workspace-id",
    "x-goog-user-project",
    "x-hf-bill-to",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "origin",
    "referer",
    "cf-cache-ttl",
    "cf-skip-cache",
    "sec-fetch-site",
];
/// The beginnings of further ones.
const REMOVED_PREFIXES: [&str; 3] = ["cf-aig-", "cf-access-", "x-keyswap-"];
/// The headers of the gateway that a client may set, and those that the policy sets.
const CONTROLS: [&str; 5] = [
    "cf-aig-request-timeout",
    "cf-aig-max-attempts",
    "cf-aig-retry-delay",
    "cf-aig-backoff",
    "cf-aig-metadata",
];
/// The parameters that never go upstream as a caller sent them.
const REMOVED_PARAMETERS: [&str; 6] =
    ["key", "api-key", "xi-api-key", "access-token", "x-api-key", "quotauser"];
/// The beginnings of subprotocols that hold a key.
const KEY_SUBPROTOCOLS: [&str; 4] =
    ["openai-insecure-api-key.", "xi-api-key.", "openai-organization.", "cf-aig-authorization."];

/// The caller whose token was judged.
pub(crate) struct Caller<'c> {
    pub(crate) token: &'c str,
    /// The only provider that the token may call; `None` where it may call all of the policy.
    pub(crate) scope: Option<&'static str>,
}

/// An upstream, and the credentials that it may get: lists of names with values, of which one is sent. The name of a
/// parameter begins with `?`.
pub(crate) struct Upstream {
    provider: &'static str,
    authority: &'static str,
    prefix: String,
    credentials: Vec<Vec<(&'static str, String)>>,
}

impl Upstream {
    pub(crate) fn new(provider: &'static str, authority: &'static str, prefix: &str) -> Self {
        Self { provider, authority, prefix: prefix.to_owned(), credentials: Vec::new() }
    }

    /// Adds a list of credentials that the upstream may get in place of the others.
    pub(crate) fn or(mut self, credentials: &[(&'static str, String)]) -> Self {
        self.credentials.push(credentials.to_vec());
        self
    }

    fn is_of(&self, authority: &str, path: &str) -> bool {
        let below = path.strip_prefix(&self.prefix);
        self.authority == authority && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Returns a name with one form for all its spellings.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// Returns a text without its escapes.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let escaped = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split(['&', ';']).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decoded(name), value.to_owned())).collect()
}

/// Checks a rewrite.
pub(crate) fn check(
    head: &RequestHead<'_>,
    rewrite: &Rewrite<'_>,
    caller: &Caller<'_>,
    upstreams: &[Upstream],
) {
    // As Latin-1, so that each byte is a character.
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let fields: Vec<(String, String)> =
        rewrite.fields(head).map(|(name, value)| (text(name), text(value))).collect();
    let target = text(&rewrite.path);
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    assert!(rewrite.https && target.bytes().all(|byte| byte > b' ' && byte != 0x7f), "{target}");

    // The token came with the request, and goes nowhere.
    for (place, told) in fields.iter().chain([&("target".to_owned(), target.clone())]) {
        for told in [told, &decoded(told)] {
            assert!(!told.contains(caller.token), "the token goes on in {place}");
        }
    }

    let is_its = |upstream: &&Upstream| upstream.is_of(rewrite.authority, path);
    let upstream = upstreams.iter().find(is_its);
    let upstream =
        upstream.unwrap_or_else(|| panic!("{}{path} is no place of the policy", rewrite.authority));
    assert!(
        caller.scope.is_none_or(|scope| scope == upstream.provider),
        "out of scope: {}",
        upstream.provider
    );
    check_path(path);
    check_credentials((upstream, upstreams), &fields, query, &target);
    check_subprotocols(&fields);
}

/// Checks that no reader leaves the prefix by this path.
fn check_path(path: &str) {
    let segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    let parts = segments.iter().flat_map(|segment| segment.split(['/', '\\']));
    assert!(!parts.into_iter().any(|part| part == "." || part == ".."), "a dot segment: {path}");
    let last = segments.len().saturating_sub(1);
    assert!(!segments.iter().take(last).any(String::is_empty), "an empty segment: {path}");
    assert!(!path.contains(['#', ';', '\\']), "{path}");
}

/// Checks that the credentials are those of the upstream, each once and in its place, and that no other one is there.
fn check_credentials(
    (upstream, all): (&Upstream, &[Upstream]),
    fields: &[(String, String)],
    query: &str,
    target: &str,
) {
    let parameters = parameters(query);
    let sent = |name: &str, value: &str| match name.strip_prefix('?') {
        Some(name) => parameters.iter().any(|(other, found)| other == name && found == value),
        None => fields.iter().any(|(other, found)| other == name && found == value),
    };
    let is_sent = |list: &&Vec<(&str, String)>| list.iter().all(|(name, value)| sent(name, value));
    let list = upstream.credentials.iter().find(is_sent);
    let list = list.unwrap_or_else(|| panic!("{} got no credential of its own", upstream.provider));
    let count = |text: &str| text.matches(REAL).count();
    let found = fields.iter().map(|(name, value)| count(name) + count(value)).sum::<usize>() + count(target);
    assert_eq!(found, list.len(), "{} got another credential, too", upstream.provider);

    // The policy's own providers take their keys in these.
    let is_own =
        |plain: &str| all.iter().flat_map(|it| &it.credentials).flatten().any(|(own, _)| *own == plain);
    let is_meant = |name: &str| list.iter().any(|(own, _)| *own == name);
    // No host has a header whose name looks like that of a parameter here.
    for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with('?')) {
        let plain = plain(name);
        let is_removed = REMOVED.contains(&&*plain)
            || is_own(&plain)
            || REMOVED_PREFIXES.iter().any(|it| plain.starts_with(it));
        let is_control = CONTROLS.contains(&&**name) || CONTROLS.contains(&&*name.to_ascii_lowercase());
        assert!(!is_removed || is_control || is_meant(name), "{name}: {value} goes on");
        assert!(!is_meant(name) || value.contains(REAL), "{name} stands there twice");
    }
    for (name, _) in &parameters {
        let is_removed = REMOVED_PARAMETERS.contains(&&*plain(name));
        assert!(!is_removed || is_meant(&format!("?{name}")), "?{name} goes on");
    }
}

fn check_subprotocols(fields: &[(String, String)]) {
    let lines = fields.iter().filter(|(name, _)| plain(name) == "sec-websocket-protocol");
    for entry in lines.flat_map(|(_, value)| value.split(',')).map(str::trim) {
        assert!(!KEY_SUBPROTOCOLS.iter().any(|prefix| entry.starts_with(prefix)), "{entry} goes on");
    }
}
