//! The credential a caller presents: the first non-empty slot in the policy's order.
//!
//! A slot with two values is refused, never read first-wins or last-wins: a proxy in front or behind may choose the
//! other one. The rule holds for every slot that the policy judges, not only for the chosen one.

use std::borrow::Cow;
use std::cell::Cell;

use percent_encoding::percent_decode;

use super::head::RequestHead;
use super::names::HeaderNames;
use super::slot::Slot;
use crate::base::Digest;
use crate::base::bytes::is_one_element;
use crate::syntax::{RequestPath, query, subprotocol};

/// The beginning of a sealed token. No other token of Keyswap's has it.
pub(crate) const SEALED_PREFIX: &str = "ksb_";

/// The credential that the caller presented, and its slot. The type has no `Debug`, because a credential is the
/// caller's secret.
pub(crate) struct Credential<'a> {
    pub(crate) slot: Slot,
    pub(crate) token: Cow<'a, [u8]>,
    /// The digest of the token, where it need not be computed.
    pub(crate) known: Option<Digest>,
}

/// Finds the first credential of the slots, in order. All slots are looked at, so that an ambiguity in a later one
/// counts. `known` returns the digest of a token that was verified before, and that is one element of a list.
///
/// The error is a slot that does not hold exactly one credential.
pub(crate) fn find<'a>(
    slots: &[Slot],
    head: &RequestHead<'a>,
    names: &HeaderNames,
    path: &RequestPath<'a>,
    known: &dyn Fn(&[u8]) -> Option<Digest>,
) -> Result<Option<Credential<'a>>, Slot> {
    let mut found = None;
    let of_bearer = Cell::new(None);
    // A long token is not searched for commas where all of it was seen before.
    let is_known = |token: &[u8]| {
        of_bearer.set(known(token));
        of_bearer.get().is_some()
    };
    for slot in slots.iter().copied().filter(|slot| names.may_fill(*slot)) {
        let token = match slot {
            Slot::XApiKey => only(head.values("x-api-key")).map(|token| token.map(Cow::Borrowed)),
            Slot::XGoogApiKey => only(head.values("x-goog-api-key")).map(|token| token.map(Cow::Borrowed)),
            Slot::ApiKey => only(head.values("api-key")).map(|token| token.map(Cow::Borrowed)),
            Slot::Authorization => bearer(head, names, &is_known).map(|token| token.map(Cow::Borrowed)),
            Slot::QueryKey => query_value(path, query::KEY),
            Slot::UploadId => Ok(None),
            Slot::Subprotocol => subprotocol_key(head).map(|token| token.map(Cow::Borrowed)),
        };
        if let (None, Some(token)) = (&found, token.map_err(|Ambiguous| slot)?) {
            let known = if slot == Slot::Authorization { of_bearer.get() } else { known(&token) };
            found = Some(Credential { slot, token, known });
        }
    }
    match found {
        None => upload_id(path).map_err(|Ambiguous| Slot::UploadId),
        found => Ok(found),
    }
}

/// Finds the sealed id of an upload, for a path of uploads.
fn upload_id<'a>(path: &RequestPath<'a>) -> Result<Option<Credential<'a>>, Ambiguous> {
    const SEGMENT: &[u8] = b"/upload/";
    if path.query.is_none() || !path.path.windows(SEGMENT.len()).any(|it| it.eq_ignore_ascii_case(SEGMENT)) {
        return Ok(None);
    }
    let token = query_value(path, query::UPLOAD_ID)?;
    let token = token.filter(|token| token.starts_with(SEALED_PREFIX.as_bytes()));
    Ok(token.map(|token| Credential { slot: Slot::UploadId, token, known: None }))
}

/// The error of a slot that does not hold exactly one credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// Returns the one credential among the lines of a slot; `None` where all are empty.
///
/// A comma separates credentials, since proxies join repeated lines with one (RFC 9110 section 5.3). A token has
/// neither commas nor spaces.
pub(crate) fn only<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, Ambiguous> {
    let mut credentials = elements(lines);
    match (credentials.next(), credentials.next()) {
        (None, _) => Ok(None),
        (Some(token), None) if !token.iter().any(u8::is_ascii_whitespace) => Ok(Some(token)),
        _ => Err(Ambiguous),
    }
}

/// Finds a Bearer token (RFC 6750 section 2.1). Another scheme is no credential of ours, and the slot counts as absent;
/// beside a Bearer it makes the slot ambiguous.
fn bearer<'a>(
    head: &RequestHead<'a>,
    names: &HeaderNames,
    is_known: &dyn Fn(&[u8]) -> bool,
) -> Result<Option<&'a [u8]>, Ambiguous> {
    // One line with one token is all that nearly every request has.
    if let Some([b'B', b'e', b'a', b'r', b'e', b'r', b' ', token @ ..]) = names.authorization(head)
        && !token.is_empty()
        && (is_known(token) || is_one_element(token))
    {
        return Ok(Some(token));
    }
    let mut tokens = elements(head.values("authorization")).filter_map(bearer_token);
    let Some(token) = tokens.next() else { return Ok(None) };
    if elements(head.values("authorization")).nth(1).is_some() {
        return Err(Ambiguous);
    }
    only(std::iter::once(token))
}

/// Returns the text after the scheme, which may be empty; `None` for another scheme.
fn bearer_token(element: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = element.split_at_checked("Bearer".len())?;
    let ends = token.first().is_none_or(u8::is_ascii_whitespace);
    (ends && scheme.eq_ignore_ascii_case(b"Bearer")).then_some(token)
}

/// Returns the non-empty elements of a list that may stand on several lines (RFC 9110 section 5.6.1).
fn elements<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let split = |line: &'a [u8]| {
        // A long token is nearly always alone on its line: looking for a comma costs less than looking at each byte.
        let most = if line.contains(&b',') { usize::MAX } else { 1 };
        line.splitn(most, |byte| *byte == b',').map(<[u8]>::trim_ascii)
    };
    lines.flat_map(split).filter(|element| !element.is_empty())
}

#[inline]
fn query_value<'a>(path: &RequestPath<'a>, name: &'static str) -> Result<Option<Cow<'a, [u8]>>, Ambiguous> {
    let Some(query) = path.query else { return Ok(None) };
    let Some(value) = only(query::values(query, name))? else { return Ok(None) };
    if value.contains(&b'%') {
        return Ok(Some(Cow::Owned(percent_decode(value).collect())));
    }
    Ok(Some(Cow::Borrowed(value)))
}

fn subprotocol_key<'a>(head: &RequestHead<'a>) -> Result<Option<&'a [u8]>, Ambiguous> {
    only(head.values("sec-websocket-protocol").flat_map(subprotocol::tokens))
}
