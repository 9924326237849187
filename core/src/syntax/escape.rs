//! Percent-encoding (RFC 3986 section 2.1): the sets of bytes that are escaped.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// All but unreserved characters (RFC 3986 section 2.3).
pub(crate) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The characters that are escaped in a form: those, and `~`.
pub(crate) const FORM: &AsciiSet = &UNRESERVED.add(b'~');

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode;

    #[test]
    fn decodes_escapes_and_leaves_broken_ones() {
        for (text, expect) in [
            ("key", "key"),
            ("k%65y", "key"),
            ("%6B%65%79", "key"),
            ("k%6", "k%6"),
            ("%zz", "%zz"),
            ("%", "%"),
        ] {
            assert_eq!(percent_decode(text.as_bytes()).collect::<Vec<_>>(), expect.as_bytes(), "{text}");
        }
    }
}
