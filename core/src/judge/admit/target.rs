//! The request target that an upstream gets: what the policy pins in front, what the client's path adds to it, and its
//! query without the parameters that carry keys.
//!
//! What stands in front of the client's path is the policy's alone, so a client chooses neither account nor gateway.
//! What an upstream calls otherwise than the provider's own API is written as the upstream calls it: a prefix that the
//! gateway leaves out, a realtime API at another place.

use std::borrow::Cow;

use crate::answer::CheckError;
use crate::provider::{QueryKey, RealtimePath, Route, RoutedBy};
use crate::request::stands_in;
use crate::syntax::query;
use crate::upstream::Upstream;

/// The traits of a request that tell where it leads.
pub(crate) struct RequestTraits<'r> {
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
    /// Finds the target. It refuses a request whose token also stands in the path or query: what is forwarded there cannot be cut out
    /// without changing what it means.
    pub(crate) fn of<'a>(
        route: &Route<'a>,
        upstream: &Upstream,
        traits: &RequestTraits<'_>,
    ) -> Result<Self, CheckError<'a>> {
        let mapping = &upstream.mapping;
        if is_universal(route, upstream) && (traits.is_upgrade || traits.is_post) {
            return Err(CheckError::UniversalEndpoint);
        }
        let rest = mapping.without_redundant_prefix(route.path);
        if !mapping.forwards(rest) {
            return Err(CheckError::Endpoint);
        }
        let live = if traits.is_upgrade { mapping.realtime(rest) } else { None };
        let (prefix, rest) = match live {
            Some(RealtimePath { path: Some(path), .. }) => (path, &b""[..]),
            Some(RealtimePath { native: [first, ..], .. }) if rest.len() < 2 => {
                (&mapping.prefix, first.as_bytes())
            }
            _ => (&mapping.prefix, rest),
        };
        let key = live.and_then(|live| live.key);
        let query = traits.query.and_then(|query| without_keys(query, key));
        let mut bytes = [prefix.as_bytes(), rest].concat();
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        if let Some(query) = &query {
            bytes.push(b'?');
            bytes.extend_from_slice(query);
        }
        if stands_in(&bytes, traits.token) {
            return Err(CheckError::TokenInTarget);
        }
        Ok(Self { bytes, has_query: query.is_some(), key })
    }

    /// Returns whether the provider's key stands in the query.
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

/// Tells whether this asks for what the Cloudflare AI Gateway has at its root: providers and their keys are in the body there.
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
