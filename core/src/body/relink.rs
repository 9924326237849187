//! The addresses of an upstream in a JSON text, which become addresses of the proxy as it passes.
//!
//! Only the beginning of a string is looked at. What may be the beginning of an address waits for the next slice.

/// The change of one address.
#[derive(Debug)]
pub(crate) struct Relink {
    /// The quotation mark, and the beginning of an address that has none.
    from: Vec<u8>,
    to: Vec<u8>,
    /// The bytes of `from` that have come.
    matched: usize,
}

impl Relink {
    /// Makes the change of strings that begin so.
    pub(crate) fn new(from: &str, to: &str) -> Self {
        let quoted = |text: &str| ["\"", text].concat().into_bytes();
        Self { from: quoted(from), to: quoted(to), matched: 0 }
    }

    /// Returns what goes on in place of a slice. `is_last` says that nothing follows it.
    pub(crate) fn take(&mut self, slice: &[u8], is_last: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(slice.len().saturating_add(self.to.len()));
        for byte in slice {
            if self.from.get(self.matched) != Some(byte) {
                self.release(&mut out);
            }
            if self.from.get(self.matched) != Some(byte) {
                out.push(*byte);
                continue;
            }
            self.matched = self.matched.saturating_add(1);
            if self.matched == self.from.len() {
                out.extend_from_slice(&self.to);
                self.matched = 0;
            }
        }
        if is_last {
            self.release(&mut out);
        }
        out
    }

    /// Lets go on what was no such address. Its first byte does not come again in it, so no other one has begun.
    fn release(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.from.get(..self.matched).unwrap_or_default());
        self.matched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_changed_at_the_beginning_of_a_string_whatever_the_slices() {
        for (text, expect) in [
            (r#"{"u":"https://a/x/1","v":null}"#, r#"{"u":"http://b/y/1","v":null}"#),
            (r#"{"u": "https://a/x/","v":"https://a/x/2"}"#, r#"{"u": "http://b/y/","v":"http://b/y/2"}"#),
            (r#"{"u":"see https://a/x/1"}"#, r#"{"u":"see https://a/x/1"}"#),
            (r#"{"u":"https://a/z/1"}"#, r#"{"u":"https://a/z/1"}"#),
            (r#"{"u":"https://"https://a/x/"}"#, r#"{"u":"https://"http://b/y/"}"#),
            (r#"""https://a/x/"#, r#"""http://b/y/"#),
            (r#""https://a/x"#, r#""https://a/x"#),
            ("", ""),
        ] {
            for cut in 0..=text.len() {
                let mut relink = Relink::new("https://a/x/", "http://b/y/");
                let (begin, rest) = text.as_bytes().split_at(cut);
                let out =
                    [relink.take(begin, false), relink.take(rest, false), relink.take(b"", true)].concat();
                assert_eq!(String::from_utf8(out).unwrap(), expect, "{text} at {cut}");
            }
        }
    }
}
