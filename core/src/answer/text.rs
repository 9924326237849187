//! The value of a header that the engine writes: short ones need no memory of their own.

use std::fmt;
use std::ops::Deref;

/// The bytes that a value has room for in place. The longest of a budget has 33.
const SHORT_BYTES: usize = 38;

/// The value of a header.
#[derive(Clone)]
pub struct HeaderText(Kept);

#[derive(Clone)]
enum Kept {
    Static(&'static str),
    Owned(String),
    /// The bytes of a text, and their number.
    Short([u8; SHORT_BYTES], u8),
}

impl HeaderText {
    /// Returns the text of these parts, one behind the other.
    #[inline]
    pub(crate) fn of<const N: usize>(parts: [&str; N]) -> Self {
        let (mut bytes, mut length) = ([0; SHORT_BYTES], 0_usize);
        for part in parts {
            let end = length.saturating_add(part.len());
            let Some(place) = bytes.get_mut(length..end) else { return Self(Kept::Owned(parts.concat())) };
            place.copy_from_slice(part.as_bytes());
            length = end;
        }
        Self(Kept::Short(bytes, u8::try_from(length).unwrap_or(0)))
    }
}

impl Deref for HeaderText {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Kept::Static(text) => text,
            Kept::Owned(text) => text,
            Kept::Short(bytes, length) => {
                str::from_utf8(bytes.get(..usize::from(*length)).unwrap_or_default()).unwrap_or_default()
            }
        }
    }
}

impl From<&'static str> for HeaderText {
    fn from(text: &'static str) -> Self {
        Self(Kept::Static(text))
    }
}

impl From<String> for HeaderText {
    fn from(text: String) -> Self {
        Self(Kept::Owned(text))
    }
}

impl PartialEq for HeaderText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for HeaderText {}

impl fmt::Display for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_whole_however_long_it_is_and_wherever_it_is_kept() {
        for length in [0, 1, SHORT_BYTES - 1, SHORT_BYTES, SHORT_BYTES + 1, 300] {
            let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
            let (first, second) = text.split_at(text.len() / 4 * 2);
            let made = HeaderText::of([first, "", second]);
            assert_eq!((&*made, made.to_string()), (&*text, text.clone()));
            assert_eq!(made, HeaderText::from(text));
        }
        assert_eq!(HeaderText::from("a"), HeaderText::of(["a"]));
        assert_ne!(HeaderText::from("a"), HeaderText::of(["a", "b"]));
    }
}
