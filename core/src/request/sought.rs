//! The search for the judged token in the rest of a request: it must not go upstream anywhere.

use percent_encoding::percent_decode;

/// The shortest token that is looked for in the rest of a request, in bytes. A shorter one could stand there by chance.
const MIN_SOUGHT_BYTES: usize = 12;

/// Returns whether the token stands in the text, as it is or percent-encoded.
pub(crate) fn stands_in(text: &[u8], token: &[u8]) -> bool {
    // A token begins like others of its kind, so its last byte tells more, and costs less than to compare all.
    let last = token.last();
    let has = |text: &[u8]| text.windows(token.len()).any(|window| window.last() == last && window == token);
    token.len() >= MIN_SOUGHT_BYTES
        && text.len() >= token.len()
        && (has(text) || (text.contains(&b'%') && has(&percent_decode(text).collect::<Vec<u8>>())))
}
