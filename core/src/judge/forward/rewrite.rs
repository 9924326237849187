//! The rewrite of a granted request: every slot stripped, the right one written, host and path of the upstream.
//!
//! [`Rewrite::for_grant`] is the only code that reads upstream secrets. Everything that a rewrite does not name passes
//! byte for byte: the rest of the path and query, every other header, the body. The judged token passes nowhere: a
//! header that holds it is removed, whatever its name.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::metadata_texts::MetadataTexts;
use super::protected::Protected;
use crate::judge::admit::{BodyForm, BodyRule, Grant};
use crate::provider::Claim;
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

/// The value of a header to set. It has no `Debug`, because it may be a credential.
#[derive(Clone)]
pub enum FieldValue<'a> {
    /// A value that is public.
    Plain(Cow<'a, [u8]>),
    /// A public value that further requests have.
    Shared(Rc<str>),
    /// An upstream credential.
    Secret(OpenKey),
}

impl Deref for FieldValue<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(text) => text,
            Self::Shared(text) => text.as_bytes(),
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
    /// The values of `cf-aig-metadata` that were written already.
    pub(crate) texts: &'r MetadataTexts,
}

impl<'a> Rewrite<'a> {
    /// Writes the rewrite.
    pub(crate) fn for_grant(grant: &mut Grant<'a, '_>, original: &Original<'a, '_>) -> Self {
        let mut set = Vec::with_capacity(6);
        push_credentials(grant, &mut set);
        push_controls(grant, original, &mut set);
        if original.names.is_upgrade || original.names.has(read::SUBPROTOCOL) {
            set.extend(upgrade(original));
        }
        push_plain_answer(grant, &mut set);
        Self {
            authority: &grant.upstream().authority,
            https: grant.upstream().https,
            path: grant.take_target(),
            remove: to_remove(grant, original, &set),
            set,
        }
    }
}

/// The headers to set.
type Set<'a> = Vec<(&'a str, FieldValue<'a>)>;

fn push_credentials<'a>(grant: &Grant<'a, '_>, set: &mut Set<'a>) {
    if let Some((name, key)) = grant.provider_key() {
        set.push((name, FieldValue::Secret(key)));
    }
    if let Some(key) = grant.gateway_key() {
        set.push(("cf-aig-authorization", FieldValue::Secret(key)));
    }
}

/// Adds the headers that the Cloudflare AI Gateway gets beside credentials; none for requests that go elsewhere.
fn push_controls<'a>(grant: &Grant<'a, '_>, original: &Original<'a, '_>, set: &mut Set<'a>) {
    let Some(controls) = &grant.upstream().controls else { return };
    for (name, value) in controls {
        set.push((*name, value.as_bytes().into()));
    }
    if let Some(text) = original.texts.of(original.metadata, grant.record_arc()) {
        set.push(("cf-aig-metadata", FieldValue::Shared(text)));
    }
}

/// Adds the headers that ask for an answer which can be read: as it is, and, where it is brokered, not from a cache of the
/// gateway's, where it would be for other callers, too. None for other requests.
fn push_plain_answer<'a>(grant: &Grant<'a, '_>, set: &mut Set<'a>) {
    let is_minting = grant.mint().is_some();
    if is_minting || grant.body().is_some_and(BodyRule::reads_answer) {
        set.push(("accept-encoding", b"identity"[..].into()));
    }
    if is_minting && grant.upstream().controls.is_some() {
        set.push(("cf-aig-skip-cache", b"true"[..].into()));
    }
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
    grant: &Grant<'_, '_>,
    original: &Original<'a, '_>,
    set: &[(&str, FieldValue<'_>)],
) -> Vec<&'a [u8]> {
    let Original { head, names, token, protected, .. } = *original;
    let is_replaced = |name: &[u8]| set.iter().any(|(other, _)| other.as_bytes() == name);
    let has_subprotocols = names.has(read::SUBPROTOCOL);
    let has_others = has_subprotocols || protected.has_own();
    // Nearly every header is of a plain name, and too short to hold the token.
    let length = if has_others { 0 } else { token.len() };
    let mut removed = Vec::new();
    for (is_reserved, Header { name, value }) in names.notable(head, length) {
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
