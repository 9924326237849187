//! A mask that hides a request's credentials in output.
//!
//! The engine strips every slot, but a caller may have put its token elsewhere as well: into the path, another
//! parameter or the name of a header. The mask prefers to hide too much.

use keyswap_core::request::RequestHead;

/// The replacement of hidden text.
const HIDDEN: &str = "…";

/// The shortest hidden word. Shorter words are not credentials, and hiding them would make paths unreadable.
const MIN_WORD_BYTES: usize = 8;

/// The words to hide, longest first.
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// Returns a mask over the values of all slots of `head`. `is_slot` returns true for the policy's slots.
    pub(crate) fn of(head: &RequestHead<'_>, is_slot: impl Fn(&[u8]) -> bool) -> Self {
        let in_headers =
            head.headers.iter().filter(|header| is_slot(header.name)).flat_map(|header| words(header.value));
        let mut hidden: Vec<String> = in_headers
            .chain(query_keys(head.path).flat_map(words))
            .filter(|word| word.len() >= MIN_WORD_BYTES)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        // Longer words first: one may contain another.
        hidden.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        hidden.dedup();
        Self(hidden)
    }

    /// Replaces the hidden words in a text with `…`.
    pub(crate) fn apply(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(text).into_owned();
        self.0.iter().fold(text, |text, word| text.replace(word, HIDDEN))
    }
}

/// Returns true for `Sec-WebSocket-Protocol`, whose entries may be credentials. Unlike other slots it may pass upstream
/// in part.
pub(crate) fn is_subprotocol(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"sec-websocket-protocol")
}

/// Returns the words of a header's value: the elements of lists and schemes, and their parts of letters, digits, `-`
/// and `_`.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = value.split(|byte| matches!(byte, b' ' | b'\t' | b',' | b';'));
    parts.flat_map(|part| {
        std::iter::once(part).chain(part.split(|byte| !byte.is_ascii_alphanumeric() && !b"-_".contains(byte)))
    })
}

/// Returns the values of the parameter `key`, and of parameters whose percent-encoded names may mean `key`.
fn query_keys(target: &[u8]) -> impl Iterator<Item = &[u8]> {
    let query = target.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    query.split(|byte| matches!(byte, b'&' | b';')).filter_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = parameter.split_at_checked(at)?;
        (name.eq_ignore_ascii_case(b"key") || name.contains(&b'%')).then(|| value.get(1..))?
    })
}
