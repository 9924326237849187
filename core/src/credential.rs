//! The credential a caller presents: the first non-empty slot in the policy's order.
//!
//! A slot that says two things is refused, never read first-wins or last-wins: whoever is in front of us or
//! behind us may choose the other one. That holds for every slot the policy judges, not only for the winner.

use std::borrow::Cow;

use crate::ascii::percent_decode;
use crate::head::RequestHead;
use crate::path::RequestPath;
use crate::query;
use crate::slot::Slot;
use crate::subprotocol;

/// What the caller presented, and where. It has no `Debug`: it is the caller's secret.
pub(crate) struct Credential<'a> {
    pub(crate) slot: Slot,
    pub(crate) token: Cow<'a, [u8]>,
}

/// Looks through the slots in order. All of them are looked at, so that an ambiguity in a later one counts; the
/// error is a slot that holds more than one credential.
pub(crate) fn find<'a>(
    slots: &[Slot],
    head: &RequestHead<'a>,
    path: &RequestPath<'a>,
) -> Result<Option<Credential<'a>>, Slot> {
    let mut found = None;
    for slot in slots.iter().copied() {
        let token = match slot {
            Slot::XApiKey => only(slot, head.values("x-api-key"))?.map(Cow::Borrowed),
            Slot::XGoogApiKey => only(slot, head.values("x-goog-api-key"))?.map(Cow::Borrowed),
            Slot::ApiKey => only(slot, head.values("api-key"))?.map(Cow::Borrowed),
            Slot::Authorization => bearer(head)?.map(Cow::Borrowed),
            Slot::QueryKey => query_key(path)?,
            Slot::Subprotocol => subprotocol_key(head)?.map(Cow::Borrowed),
        };
        if let (None, Some(token)) = (&found, token) {
            found = Some(Credential { slot, token });
        }
    }
    Ok(found)
}

/// The one value of a slot, or `None` where it is absent or empty. A list (`a, b`) is two values: proxies join
/// repeated header lines with a comma, and no token has one.
fn only<'a>(slot: Slot, mut values: impl Iterator<Item = &'a [u8]>) -> Result<Option<&'a [u8]>, Slot> {
    let value = values.next().unwrap_or_default().trim_ascii();
    if values.next().is_some() || value.iter().any(|byte| matches!(byte, b',' | b' ' | b'\t')) {
        return Err(slot);
    }
    Ok((!value.is_empty()).then_some(value))
}

/// RFC 6750 section 2.1. Another scheme is no credential of ours, and the slot counts as absent.
fn bearer<'a>(head: &RequestHead<'a>) -> Result<Option<&'a [u8]>, Slot> {
    let mut lines = head.values("authorization");
    let line = lines.next().unwrap_or_default().trim_ascii();
    if lines.next().is_some() {
        return Err(Slot::Authorization);
    }
    match line.split_at_checked("Bearer".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"Bearer") && token.starts_with(b" ") => {
            only(Slot::Authorization, std::iter::once(token))
        }
        _ => Ok(None),
    }
}

fn query_key<'a>(path: &RequestPath<'a>) -> Result<Option<Cow<'a, [u8]>>, Slot> {
    let Some(value) = only(Slot::QueryKey, path.query.into_iter().flat_map(query::keys))? else {
        return Ok(None);
    };
    if value.contains(&b'%') {
        return Ok(Some(Cow::Owned(percent_decode(value).collect())));
    }
    Ok(Some(Cow::Borrowed(value)))
}

fn subprotocol_key<'a>(head: &RequestHead<'a>) -> Result<Option<&'a [u8]>, Slot> {
    if !head.is_websocket_upgrade() {
        return Ok(None);
    }
    only(Slot::Subprotocol, head.values("sec-websocket-protocol").flat_map(subprotocol::tokens))
}
