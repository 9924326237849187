//! The rewrite of a granted request: every slot stripped, the right one written, host and path of the upstream.
//!
//! [`Rewrite::for_grant`] is the only code that reads upstream secrets. What it does not name passes byte for byte:
//! the rest of the path and query, every other header, the body.

use std::borrow::Cow;
use std::fmt;

use crate::grant::Grant;
use crate::head::RequestHead;
use crate::metadata::{self, Claim};
use crate::path::RequestPath;
use crate::protected::{is_protected, is_spelling_of};
use crate::provider::Dialect;
use crate::query;
use crate::route::Route;
use crate::subprotocol;
use crate::upstream::AuthHeader;

/// What a host does to a request head before it forwards it: first `remove`, then `set`.
///
/// It holds upstream secrets; `Debug` shows none of them.
pub struct Rewrite<'a> {
    /// The authority to forward to.
    pub authority: &'a str,
    /// The new request target.
    pub path: Vec<u8>,
    /// Names of headers to remove, all their lines, as the client spelled them; a name may stand here twice.
    pub remove: Vec<&'a [u8]>,
    /// Headers to set, replacing all lines of the same name. Names are in lower case.
    pub set: Vec<(&'a str, Cow<'a, [u8]>)>,
}

const SUBPROTOCOL: &str = "sec-websocket-protocol";

/// What of the policy a rewrite needs beside the grant.
pub(crate) struct Rules<'a> {
    /// Header names that the policy's own providers use for their key, in lower case.
    pub(crate) extra_slots: &'a [String],
    /// The members of `cf-aig-metadata`.
    pub(crate) metadata: &'a [(String, Claim)],
}

impl<'a> Rewrite<'a> {
    pub(crate) fn for_grant(
        grant: &Grant<'a>,
        rules: &Rules<'a>,
        head: &RequestHead<'a>,
        path: &RequestPath<'a>,
        route: &Route<'a>,
    ) -> Self {
        let upstream = grant.upstream();
        let mut set = Vec::new();

        let key = if route.dialect == Dialect::OpenAi { &upstream.openai_auth } else { &upstream.auth };
        let header = |auth: &'a AuthHeader| (auth.name.as_str(), revealed(auth, grant));
        set.extend(key.as_ref().map(header));
        if let Some(auth) = &upstream.gateway_auth {
            set.push(header(auth));
            let metadata = metadata::render(rules.metadata, grant.record());
            set.extend(metadata.map(|text| ("cf-aig-metadata", Cow::Owned(text.into_bytes()))));
        }

        if head.values(SUBPROTOCOL).any(subprotocol::has_key) {
            set.extend(
                subprotocol::without_keys(head.values(SUBPROTOCOL)).map(|kept| (SUBPROTOCOL, kept.into())),
            );
        }
        Self {
            authority: &upstream.authority,
            path: target(&upstream.path_prefix, path, route),
            remove: slots_to_remove(head, rules.extra_slots),
            set,
        }
    }
}

fn revealed<'a>(auth: &'a AuthHeader, grant: &Grant<'_>) -> Cow<'a, [u8]> {
    Cow::Borrowed(auth.value.reveal(grant))
}

/// The names of the headers that hold a credential or could hold one, line by line.
fn slots_to_remove<'a>(head: &RequestHead<'a>, extra_slots: &[String]) -> Vec<&'a [u8]> {
    let holds_key = |name: &[u8], value: &[u8]| {
        is_protected(name)
            || extra_slots.iter().any(|slot| is_spelling_of(name, slot))
            || (is_spelling_of(name, SUBPROTOCOL) && subprotocol::has_key(value))
    };
    head.headers
        .iter()
        .filter(|header| holds_key(header.name, header.value))
        .map(|header| header.name)
        .collect()
}

fn target(prefix: &str, path: &RequestPath<'_>, route: &Route<'_>) -> Vec<u8> {
    let query = path.query.and_then(|query| match query::keys(query).next() {
        None => Some(Cow::Borrowed(query)),
        Some(_) => query::without_keys(query).map(Cow::Owned),
    });
    let mut target = Vec::with_capacity(
        prefix.len() + route.path.len() + query.as_ref().map_or(0, |query| query.len() + 1),
    );
    target.extend_from_slice(prefix.as_bytes());
    target.extend_from_slice(route.path);
    if target.is_empty() {
        target.push(b'/');
    }
    if let Some(query) = query {
        target.push(b'?');
        target.extend_from_slice(&query);
    }
    target
}

impl fmt::Debug for Rewrite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.set.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Rewrite")
            .field("authority", &self.authority)
            .field("set", &set)
            .finish_non_exhaustive()
    }
}
