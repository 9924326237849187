//! The credential a caller presents: the first non-empty slot in the policy's order, and the one beside it.
//!
//! A slot with two values is refused, never read first-wins or last-wins: a proxy in front or behind may choose the
//! other one. The rule holds for every slot that the policy judges, not only for the chosen one.

use std::borrow::Cow;
use std::cell::Cell;

use percent_encoding::percent_decode;

use super::head::RequestHead;
use super::names::HeaderNames;
use super::slot::{Slot, Slots};
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

/// Parts of a request in which its credential may be. `known` returns the digest of a token that was verified before, and
/// that is one element of a list.
#[derive(Clone, Copy)]
pub(crate) struct Places<'a, 'r> {
    pub(crate) head: &'r RequestHead<'a>,
    pub(crate) names: &'r HeaderNames,
    pub(crate) path: &'r RequestPath<'a>,
    pub(crate) known: &'r dyn Fn(&[u8]) -> Option<Digest>,
}

/// Finds the first credential of the slots, in order. All slots are looked at, so that an ambiguity in a later one
/// counts.
///
/// The error is a slot that does not hold exactly one credential, or a second one that the policy refuses.
pub(crate) fn find<'a>(slots: &Slots, places: &Places<'a, '_>) -> Result<Option<Credential<'a>>, Slot> {
    let filled = slots.bits & places.names.filled(places.path.query.is_some());
    // Nearly every request has this slot only.
    let found = if filled == Slot::Authorization.bit() {
        places.find_in(Slot::Authorization).map_err(|Ambiguous| Slot::Authorization)?
    } else {
        find_first(slots, filled, places)?
    };
    match found {
        None => upload_id(places.path).map_err(|Ambiguous| Slot::UploadId),
        found => Ok(found),
    }
}

fn find_first<'a>(
    slots: &Slots,
    filled: u16,
    places: &Places<'a, '_>,
) -> Result<Option<Credential<'a>>, Slot> {
    let mut found: Option<Credential<'a>> = None;
    for slot in slots.order.iter().copied().filter(|slot| slot.bit() & filled != 0) {
        let Some(next) = places.find_in(slot).map_err(|Ambiguous| slot)? else { continue };
        match &found {
            Some(first) if slots.refuses_second && first.token != next.token => return Err(slot),
            Some(_) => {}
            None => found = Some(next),
        }
    }
    Ok(found)
}

/// Finds the credential beside the first one; `None` unless the slots hold exactly two different credentials.
#[cold]
pub(crate) fn find_second<'a>(slots: &Slots, places: &Places<'a, '_>) -> Option<Credential<'a>> {
    let filled = slots.bits & places.names.filled(places.path.query.is_some());
    let filled = slots.order.iter().copied().filter(|slot| slot.bit() & filled != 0);
    let mut found = filled.filter_map(|slot| places.find_in(slot).ok().flatten());
    let first = found.next()?;
    let mut others = found.filter(|other| other.token != first.token);
    let second = others.next()?;
    others.all(|other| other.token == second.token).then_some(second)
}

impl<'a> Places<'a, '_> {
    /// Finds the one credential of a slot.
    #[inline]
    fn find_in(&self, slot: Slot) -> Result<Option<Credential<'a>>, Ambiguous> {
        let Self { head, names, path, known } = *self;
        let token = match slot {
            Slot::Authorization => return in_authorization(head, names, known),
            Slot::XApiKey => only(head.values("x-api-key"))?.map(Cow::Borrowed),
            Slot::XGoogApiKey => only(head.values("x-goog-api-key"))?.map(Cow::Borrowed),
            Slot::ApiKey => only(head.values("api-key"))?.map(Cow::Borrowed),
            Slot::XiApiKey => only(head.values("xi-api-key"))?.map(Cow::Borrowed),
            Slot::QueryKey => query_value(path, query::KEY)?,
            Slot::QueryApiKey => query_values(path, &["api-key", "xi-api-key"])?,
            Slot::QueryAccessToken => query_values(path, &["access-token"])?,
            Slot::Subprotocol => {
                only(subprotocol::tokens(head.values("sec-websocket-protocol")))?.map(Cow::Borrowed)
            }
            Slot::UploadId => None,
        };
        Ok(token.map(|token| Credential { slot, known: known(&token), token }))
    }
}

#[inline]
fn in_authorization<'a>(
    head: &RequestHead<'a>,
    names: &HeaderNames,
    known: &dyn Fn(&[u8]) -> Option<Digest>,
) -> Result<Option<Credential<'a>>, Ambiguous> {
    let found = Cell::new(None);
    // A long token is not searched for commas where all of it was seen before.
    let is_known = |token: &[u8]| {
        found.set(known(token));
        found.get().is_some()
    };
    let token = bearer(head, names, &is_known)?;
    Ok(token.map(|token| Credential {
        slot: Slot::Authorization,
        token: Cow::Borrowed(token),
        known: found.get(),
    }))
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

/// The scheme of sign-ins at providers, with the space behind it.
const BEARER: &[u8] = b"Bearer ";
/// The schemes of `Authorization` before a token: that of RFC 6750 section 2.1, and Deepgram's.
const SCHEMES: [&str; 2] = ["Bearer", "Token"];

/// Finds the token of `Authorization`. Another scheme is no credential of ours, and the slot counts as absent; beside a
/// token it makes the slot ambiguous.
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

/// Returns the one Bearer token of `Authorization`; `None` where the header holds anything else, or more.
pub(crate) fn only_bearer<'a>(head: &RequestHead<'a>) -> Option<&'a [u8]> {
    let mut all = elements(head.values("authorization"));
    let element = all.next().filter(|_| all.next().is_none())?;
    let (scheme, token) = element.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

/// Returns the text after the scheme, which may be empty; `None` for another scheme.
fn bearer_token(element: &[u8]) -> Option<&[u8]> {
    let behind = |scheme: &str| {
        let (start, token) = element.split_at_checked(scheme.len())?;
        let ends = token.first().is_none_or(u8::is_ascii_whitespace);
        (ends && start.eq_ignore_ascii_case(scheme.as_bytes())).then_some(token)
    };
    SCHEMES.into_iter().find_map(behind)
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
    Ok(only(query::values(query, name))?.map(decoded))
}

/// Returns the one value of the parameters of these names, in any spelling.
fn query_values<'a>(
    path: &RequestPath<'a>,
    names: &'static [&'static str],
) -> Result<Option<Cow<'a, [u8]>>, Ambiguous> {
    let Some(query) = path.query else { return Ok(None) };
    Ok(only(query::values_in_any_spelling(query, names))?.map(decoded))
}

fn decoded(value: &[u8]) -> Cow<'_, [u8]> {
    if value.contains(&b'%') {
        return Cow::Owned(percent_decode(value).collect());
    }
    Cow::Borrowed(value)
}
