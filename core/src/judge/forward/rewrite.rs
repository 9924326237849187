//! The rewrite of a granted request: every slot stripped, the right one written, host and path of the upstream.
//!
//! [`Rewrite::for_grant`] is the only code that reads upstream secrets. Everything that a rewrite does not name passes
//! byte for byte: the rest of the path and query, every other header, the body. The judged token passes nowhere: a
//! header that holds it is removed, whatever its name.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use super::protected::Protected;
use crate::judge::admit::{BodyForm, BodyRule, Grant};
use crate::provider::{Claim, metadata};
use crate::request::{Header, HeaderNames, RequestHead, stands_in};
use crate::secret::OpenKey;
use crate::syntax::{is_spelling_of, read, subprotocol};

/// The changes that a host makes to a request head before it forwards it: first `remove`, then `set`.
///
/// A rewrite holds upstream secrets; `Debug` shows none of them. Only [`Rewrite::for_grant`] makes one.
#[non_exhaustive]
pub struct Rewrite<'a> {
    /// The authority to forward to.
    pub authority: &'a str,
    /// Set where the authority is reached by TLS. In Envoy the cluster decides that.
    pub https: bool,
    /// The new request target. Where a provider takes its key in the query, the key stands in it.
    pub path: Vec<u8>,
    /// Names of headers to remove, all their lines, as the client spelled them; a name may stand here twice.
    pub remove: Vec<&'a [u8]>,
    /// Headers to set, replacing all lines of the same name. Names are in lower case.
    pub set: Vec<(&'a str, FieldValue<'a>)>,
}

/// The value of a header to set.
#[derive(Clone, Debug)]
pub enum FieldValue<'a> {
    /// A value that is public.
    Plain(Cow<'a, [u8]>),
    /// An upstream credential.
    Secret(OpenKey),
}

impl Deref for FieldValue<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text,
            Self::Secret(key) => key.bytes(),
        }
    }
}

impl<'a> From<&'a [u8]> for FieldValue<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self::Plain(Cow::Borrowed(text))
    }
}

impl From<Vec<u8>> for FieldValue<'_> {
    fn from(text: Vec<u8>) -> Self {
        Self::Plain(Cow::Owned(text))
    }
}

pub(crate) const SUBPROTOCOL: &str = "sec-websocket-protocol";

/// The parts of a request that a rewrite needs beside the grant.
pub(crate) struct Original<'a, 'r> {
    pub(crate) head: &'r RequestHead<'a>,
    pub(crate) names: &'r HeaderNames,
    /// The token that was judged.
    pub(crate) token: &'r [u8],
    /// The header names that carry credentials.
    pub(crate) protected: &'r Protected,
    /// The members of `cf-aig-metadata`.
    pub(crate) metadata: &'r [(String, Claim)],
}

impl<'a> Rewrite<'a> {
    /// Writes the rewrite.
    pub(crate) fn for_grant(grant: &Grant<'a>, original: &Original<'a, '_>) -> Self {
        let mut set = Vec::with_capacity(6);
        set.extend(credentials(grant));
        set.extend(controls(grant, original.metadata));
        set.extend(upgrade(original));
        set.extend(plain_answer(grant));
        Self {
            authority: &grant.upstream().authority,
            https: grant.upstream().https,
            path: grant.target(),
            remove: to_remove(grant, original, &set),
            set,
        }
    }
}

fn credentials<'a>(grant: &Grant<'a>) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> {
    let provider = grant.provider_key();
    let gateway = grant.gateway_key().map(|key| ("cf-aig-authorization", key));
    provider.into_iter().chain(gateway).map(|(name, key)| (name, FieldValue::Secret(key)))
}

/// Returns the headers that the Cloudflare AI Gateway gets beside credentials; none for requests that go elsewhere.
fn controls<'a>(
    grant: &Grant<'a>,
    metadata: &[(String, Claim)],
) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> {
    let controls = grant.upstream().controls.as_deref();
    let metadata = controls.and_then(|_| metadata::render(metadata, grant.record()));
    let controls = controls.unwrap_or_default().iter();
    controls
        .map(|(name, value)| (*name, value.as_bytes().into()))
        .chain(metadata.map(|text| ("cf-aig-metadata", text.into_bytes().into())))
}

/// Returns the headers that ask for an answer which can be read: as it is, and, where it is brokered, not from a cache of the
/// gateway's, where it would be for other callers, too. None for other requests.
fn plain_answer<'a>(grant: &Grant<'a>) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> {
    let is_read = grant.body().is_some_and(BodyRule::reads_answer);
    let is_plain = grant.mint().is_some() || is_read;
    let identity = is_plain.then(|| ("accept-encoding", b"identity"[..].into()));
    let fresh = grant.mint().and_then(|_| grant.upstream().controls.as_ref());
    let fresh = fresh.map(|_| ("cf-aig-skip-cache", b"true"[..].into()));
    identity.into_iter().chain(fresh)
}

/// Returns the headers that a WebSocket upgrade keeps: the subprotocols without credentials, and in `connection`
/// nothing but the upgrade. The next hop may drop a header that is named there (RFC 9110 section 7.6.1).
fn upgrade<'a>(original: &Original<'a, '_>) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> {
    let head = original.head;
    let connection = original.names.is_upgrade.then(|| ("connection", b"upgrade"[..].into()));
    let kept = || subprotocol::without_reserved(head.values(SUBPROTOCOL));
    let has_reserved =
        original.names.has(read::SUBPROTOCOL) && head.values(SUBPROTOCOL).any(subprotocol::has_reserved);
    let subprotocols = has_reserved.then(kept).flatten();
    let subprotocols = subprotocols.filter(|kept| !stands_in(kept, original.token));
    connection.into_iter().chain(subprotocols.map(|kept| (SUBPROTOCOL, kept.into())))
}

/// Returns the names of the headers that hold or could hold a credential, line by line, without those that are
/// replaced.
fn to_remove<'a>(
    grant: &Grant<'_>,
    original: &Original<'a, '_>,
    set: &[(&str, FieldValue<'_>)],
) -> Vec<&'a [u8]> {
    let Original { head, names, token, protected, .. } = *original;
    let is_replaced = |name: &[u8]| set.iter().any(|(other, _)| other.as_bytes() == name);
    let has_subprotocols = names.has(read::SUBPROTOCOL);
    let has_others = has_subprotocols || protected.has_own();
    let mut removed = Vec::with_capacity(4);
    for (place, Header { name, value }) in head.headers.iter().enumerate() {
        let is_reserved = names.is_reserved(place, name);
        // Nearly every header is of a plain name, and too short to hold the token.
        if !is_reserved && !has_others && value.len() < token.len() {
            continue;
        }
        let goes = protected.covers(name, is_reserved)
            || stands_in(value, token)
            || (has_subprotocols && is_spelling_of(name, SUBPROTOCOL) && is_removed_subprotocol(name, value));
        if goes && !is_replaced(name) {
            removed.push(*name);
        }
    }
    let of_body = grant.body().map_or(&[][..], |body| removed_for_body(body));
    removed.extend(of_body.iter().map(|name| name.as_bytes()));
    removed
}

/// Returns the headers that do not hold for a body that is read: its length, where bytes may be added to it, and the
/// compression of messages.
fn removed_for_body(body: &BodyRule) -> &'static [&'static str] {
    match body.form() {
        BodyForm::Messages => &["sec-websocket-extensions"],
        BodyForm::Body if body.asks_usage() => &["content-length"],
        BodyForm::Body => &[],
    }
}

/// Returns whether a line of subprotocols goes. A line in another spelling is no part of the list that is kept, so it
/// always goes.
fn is_removed_subprotocol(name: &[u8], value: &[u8]) -> bool {
    !name.eq_ignore_ascii_case(SUBPROTOCOL.as_bytes()) || subprotocol::has_reserved(value)
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
