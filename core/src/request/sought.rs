//! The search for the judged token in the rest of a request: it must not go upstream anywhere.

use percent_encoding::percent_decode;

/// The shortest token that is looked for in the rest of a request, in bytes. A shorter one could stand there by chance.
const MIN_SOUGHT_BYTES: usize = 12;

/// Returns whether the token stands in the text, as it is or percent-encoded.
#[inline]
pub(crate) fn stands_in(text: &[u8], token: &[u8]) -> bool {
    // Most texts are too short to hold it.
    text.len() >= token.len() && token.len() >= MIN_SOUGHT_BYTES && is_found(text, token)
}

fn is_found(text: &[u8], token: &[u8]) -> bool {
    has(text, token) || (text.contains(&b'%') && has(&percent_decode(text).collect::<Vec<u8>>(), token))
}

fn has(text: &[u8], token: &[u8]) -> bool {
    let Some((last, front)) = token.split_last() else { return false };
    // A token begins like others of its kind, so its last byte tells more, and costs less than to compare all.
    let ends = text.get(front.len()..).unwrap_or_default();
    text.windows(token.len()).zip(ends).any(|(window, end)| end == last && window.starts_with(front))
}
