//! The request target that an upstream gets: what the policy pins in front, what the client's path adds to it, and its
//! query without the parameters that carry keys.
//!
//! What stands in front of the client's path is the policy's alone, so a client chooses neither account nor gateway.
//! What an upstream calls otherwise than the provider's own API is written as the upstream calls it: a prefix that the
//! gateway leaves out, a realtime API at another place.

use std::borrow::Cow;

use crate::fault::Fault;
use crate::path::RequestPath;
use crate::provider::Provider;
use crate::query;
use crate::route::{Route, RoutedBy};
use crate::token;
use crate::upstream::Upstream;

/// How the client's path continues at an upstream.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// What stands in front of the client's path: empty, or `/…` without a slash at the end.
    prefix: String,
    /// What the prefix says already: the first of these with which the client's path begins is left out of it.
    said: Vec<String>,
    /// The only paths that are forwarded; empty for all.
    endpoints: &'static [&'static str],
    /// The realtime API, where it has a place of its own.
    live: Option<Live>,
}

/// A realtime API over WebSocket.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its paths at the provider's own host.
    pub(crate) native: &'static [&'static str],
    /// The path it has here instead of those.
    pub(crate) path: Option<String>,
    /// The parameter of the query that carries the key.
    pub(crate) key: Option<QueryKey>,
}

/// The parameter of the query that carries the provider's key, where the gateway does not supply it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryKey(pub(crate) &'static str);

impl Below {
    pub(crate) fn new(provider: &Provider, prefix: String, live: Option<Live>) -> Self {
        let native = &provider.native_prefix;
        let mut said: Vec<String> = [native, provider.path.as_ref().unwrap_or(native)]
            .into_iter()
            .filter(|said| !said.is_empty())
            .cloned()
            .collect();
        // A base that ends in a version takes no second one.
        if [native, &prefix].into_iter().any(|base| ends_in_version(base)) {
            said.push("/v1".to_owned());
        }
        Self { prefix, said, endpoints: provider.row.endpoints, live }
    }

    /// The client's path, without what the prefix says already.
    fn rest<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let below = RequestPath { path, query: None };
        let said = self.said.iter().find(|said| below.is_under(said));
        said.and_then(|said| path.strip_prefix(said.as_bytes())).unwrap_or(path)
    }

    /// The paths by which a client may have led to this one, which an upstream got; empty where none leads there.
    pub(crate) fn retrace(&self, path: &str, upgraded: bool) -> Vec<String> {
        if let Some(Live { native: [first, ..], path: Some(own), .. }) = &self.live
            && upgraded
            && own == path
        {
            return vec![(*first).to_owned()];
        }
        let is_below = |rest: &&str| rest.is_empty() || rest.starts_with('/');
        let Some(rest) = path.strip_prefix(&self.prefix).filter(is_below) else { return Vec::new() };
        let said = self.said.iter().map(|said| format!("{said}{rest}"));
        said.chain([rest.to_owned()]).collect()
    }

    fn forwards(&self, path: &[u8]) -> bool {
        let path = RequestPath { path, query: None };
        self.endpoints.is_empty() || self.endpoints.iter().any(|endpoint| path.is_under(endpoint))
    }

    /// The realtime API, if the path is one of its.
    fn live(&self, path: &[u8]) -> Option<&Live> {
        let is_its = |live: &&Live| {
            matches!(path, b"" | b"/") || live.native.iter().any(|native| native.as_bytes() == path)
        };
        self.live.as_ref().filter(is_its)
    }
}

/// What of a request tells where it leads.
pub(crate) struct Asking<'r> {
    pub(crate) is_upgrade: bool,
    pub(crate) is_post: bool,
    pub(crate) query: Option<&'r [u8]>,
    /// The token that was judged.
    pub(crate) token: &'r [u8],
}

/// The target of a request, not yet with the key that may stand in its query.
pub(crate) struct Target {
    bytes: Vec<u8>,
    has_query: bool,
    /// The parameter that carries the key; no header does then.
    key: Option<QueryKey>,
}

impl Target {
    /// It refuses a request whose token also stands in the path or query: what is forwarded there cannot be cut out
    /// without changing what it means.
    pub(crate) fn of<'a>(
        route: &Route<'a>,
        upstream: &Upstream,
        asking: &Asking<'_>,
    ) -> Result<Self, Fault<'a>> {
        let below = &upstream.below;
        if is_universal(route, upstream) && (asking.is_upgrade || asking.is_post) {
            return Err(Fault::UniversalEndpoint);
        }
        let rest = below.rest(route.path);
        if !below.forwards(rest) {
            return Err(Fault::Endpoint);
        }
        let live = if asking.is_upgrade { below.live(rest) } else { None };
        let (prefix, rest) = match live {
            Some(Live { path: Some(path), .. }) => (path, &b""[..]),
            Some(Live { native: [first, ..], .. }) if rest.len() < 2 => (&below.prefix, first.as_bytes()),
            _ => (&below.prefix, rest),
        };
        let key = live.and_then(|live| live.key);
        let query = asking.query.and_then(|query| without_keys(query, key));
        let mut bytes = [prefix.as_bytes(), rest].concat();
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        if let Some(query) = &query {
            bytes.push(b'?');
            bytes.extend_from_slice(query);
        }
        if token::stands_in(&bytes, asking.token) {
            return Err(Fault::TokenInTarget);
        }
        Ok(Self { bytes, has_query: query.is_some(), key })
    }

    /// Whether the provider's key stands in its query.
    pub(crate) fn takes_key(&self) -> bool {
        self.key.is_some()
    }

    /// The target with the key in its query, where it belongs there.
    pub(crate) fn with_key(&self, key: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let (Some(QueryKey(name)), Some(key)) = (self.key, key) {
            bytes.push(if self.has_query { b'&' } else { b'?' });
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(b'=');
            bytes.extend_from_slice(key);
        }
        bytes
    }
}

/// Whether this asks for what the Cloudflare AI Gateway has at its root: providers and their keys are in the body there.
/// Where the policy opens it, it is a provider of its own, named by the empty segment.
fn is_universal(route: &Route<'_>, upstream: &Upstream) -> bool {
    upstream.controls.is_some() && route.path == b"/" && route.by != RoutedBy::Segment
}

/// The query without the parameters that carry keys; nothing is copied where there are none.
fn without_keys(query: &[u8], key: Option<QueryKey>) -> Option<Cow<'_, [u8]>> {
    let query = match query::keys(query).next() {
        None => Cow::Borrowed(query),
        Some(_) => Cow::Owned(query::without_keys(query)?),
    };
    match key {
        None => Some(query),
        Some(QueryKey(name)) => query::without_parameter(&query, name).map(Cow::Owned),
    }
}

/// Whether the last segment is `v` and a number.
fn ends_in_version(path: &str) -> bool {
    let version = path.rsplit('/').next().and_then(|last| last.strip_prefix('v'));
    version.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
