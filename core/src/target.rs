//! The request target that an upstream gets: what the policy pins in front, what the client's path adds to it, and its
//! query without the parameters that carry keys.
//!
//! What stands in front of the client's path is the policy's alone, so a client chooses neither account nor gateway.
//! What an upstream calls otherwise than the provider's own API is written as the upstream calls it: a prefix that the
//! gateway leaves out, a realtime API at another place.

use std::borrow::Cow;

use crate::fault::Fault;
use crate::grant::Grant;
use crate::head::RequestHead;
use crate::path::RequestPath;
use crate::provider::Provider;
use crate::query;
use crate::route::{Route, RoutedBy};
use crate::upstream::{Form, Upstream};

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
        if upgraded
            && let Some(Live { native: [first, ..], path: Some(own), .. }) = &self.live
            && own == path
        {
            return vec![(*first).to_owned()];
        }
        let Some(rest) =
            path.strip_prefix(&self.prefix).filter(|rest| rest.is_empty() || rest.starts_with('/'))
        else {
            return Vec::new();
        };
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

/// The target of a granted request, not yet with the key that may stand in its query.
pub(crate) struct Target {
    bytes: Vec<u8>,
    has_query: bool,
    /// The parameter that carries the key; no header does then.
    pub(crate) key: Option<QueryKey>,
}

/// Where a request goes at an upstream, before the query.
pub(crate) struct Spot<'a> {
    /// What stands in front of the rest.
    prefix: &'a str,
    /// What the client's path adds.
    rest: &'a [u8],
    /// The parameter of the query that carries the key.
    key: Option<QueryKey>,
}

impl<'a> Spot<'a> {
    /// Finds it. Some endpoints are forwarded for nobody.
    pub(crate) fn find(
        upstream: &'a Upstream,
        route: &Route<'a>,
        head: &RequestHead<'_>,
    ) -> Result<Self, Fault<'a>> {
        let below = &upstream.below;
        let is_upgrade = head.is_websocket_upgrade();
        if is_universal(upstream, route) && (is_upgrade || head.method == b"POST") {
            return Err(Fault::UniversalEndpoint);
        }
        let rest = below.rest(route.path);
        if !below.forwards(rest) {
            return Err(Fault::Endpoint);
        }
        let live = if is_upgrade { below.live(rest) } else { None };
        let (prefix, rest) = match live {
            Some(Live { path: Some(path), .. }) => (path, &b""[..]),
            Some(Live { native: [first, ..], .. }) if rest.len() < 2 => (&below.prefix, first.as_bytes()),
            _ => (&below.prefix, rest),
        };
        Ok(Self { prefix, rest, key: live.and_then(|live| live.key) })
    }

    /// Whether the key is sent in the query, where no host can write it.
    pub(crate) fn takes_key_in_query(&self) -> bool {
        self.key.is_some()
    }
}

impl Target {
    pub(crate) fn of<'a>(
        grant: &Grant<'a>,
        head: &RequestHead<'_>,
        query: Option<&[u8]>,
    ) -> Result<Self, Fault<'a>> {
        let Spot { prefix, rest, key } = Spot::find(grant.upstream(), grant.route(), head)?;
        if key.is_some() && grant.keys().by_host {
            return Err(Fault::KeyInQuery);
        }
        let query = query.and_then(|query| without_keys(query, key));
        let mut bytes = [prefix.as_bytes(), rest].concat();
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        if let Some(query) = &query {
            bytes.push(b'?');
            bytes.extend_from_slice(query);
        }
        Ok(Self { bytes, has_query: query.is_some(), key })
    }

    /// All of it that is not secret.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The target with the key in its query, where it belongs there.
    pub(crate) fn with_key(self, grant: &Grant<'_>) -> Vec<u8> {
        let (Some(QueryKey(name)), Some(key)) = (self.key, &grant.keys().provider) else { return self.bytes };
        let mut bytes = self.bytes;
        bytes.push(if self.has_query { b'&' } else { b'?' });
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(b'=');
        bytes.extend_from_slice(key.reveal(Form::Query, grant));
        bytes
    }
}

/// Whether this asks for what the Cloudflare AI Gateway has at its root: providers and their keys are in the body there.
/// Where the policy opens it, it is a provider of its own, named by the empty segment.
fn is_universal(upstream: &Upstream, route: &Route<'_>) -> bool {
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
