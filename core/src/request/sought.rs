//! The search for the judged token in the rest of a request: it must not go upstream anywhere.

use percent_encoding::percent_decode;

use crate::base::bytes::any_of;

/// The shortest token that is looked for in the rest of a request, in bytes. A shorter one could stand there by chance.
const MIN_SOUGHT_BYTES: usize = 12;

/// Returns whether the token stands in the text, as it is or percent-encoded.
#[inline]
pub(crate) fn stands_in(text: &[u8], token: &[u8]) -> bool {
    // Most texts are too short to hold it.
    text.len() >= token.len() && token.len() >= MIN_SOUGHT_BYTES && is_found(text, token)
}

fn is_found(text: &[u8], token: &[u8]) -> bool {
    let (is_found, has_escapes) = seek(text, token);
    is_found || (has_escapes && seek(&percent_decode(text).collect::<Vec<u8>>(), token).0)
}

/// Returns whether the token stands in the text as it is, and otherwise whether the text has a percent sign.
fn seek(text: &[u8], token: &[u8]) -> (bool, bool) {
    let (Some(first), Some(last)) = (token.first(), token.last()) else { return (false, false) };
    let before = token.len().saturating_sub(1);
    let mut has_escapes = false;
    // A token begins like others of its kind, so its last byte tells more.
    let is_found = any_of(text, [*last, b'%'], |at| {
        has_escapes |= text.get(at) == Some(&b'%');
        let begin = at.checked_sub(before).filter(|begin| text.get(*begin) == Some(first));
        begin.and_then(|begin| text.get(begin..)).is_some_and(|text| text.starts_with(token))
    });
    (is_found, has_escapes)
}
