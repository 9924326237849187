//! A decoder of Base64 (RFC 4648 section 4) that comes in slices.

/// A decoder. Padding ends the text.
#[derive(Default)]
pub(super) struct Base64 {
    bits: u32,
    /// The characters that `bits` holds.
    count: u8,
    is_padded: bool,
}

/// The error of a character of another alphabet, or behind the padding.
struct NotBase64;

/// The bytes that are decoded at a time.
const DECODED_BYTES: usize = 192;

impl Base64 {
    /// Takes the next characters, and tells the bytes that they stand for. Returns `None` for other characters.
    pub(super) fn feed(&mut self, text: &[u8], tell: &mut dyn FnMut(&[u8])) -> Option<()> {
        // Three bytes for four characters: a chunk always fits, with the characters from the slice before.
        for text in text.chunks(DECODED_BYTES) {
            let (mut bytes, mut length) = ([0; DECODED_BYTES], 0usize);
            for character in text {
                if let Some(byte) = self.take(*character).ok()? {
                    *bytes.get_mut(length)? = byte;
                    length = length.saturating_add(1);
                }
            }
            tell(bytes.get(..length)?);
        }
        Some(())
    }

    /// Takes a character. Each but the first of four completes a byte.
    fn take(&mut self, character: u8) -> Result<Option<u8>, NotBase64> {
        let value = match character {
            b'=' => {
                self.is_padded = true;
                return Ok(None);
            }
            _ if self.is_padded => return Err(NotBase64),
            b'A'..=b'Z' => character.wrapping_sub(b'A'),
            b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
            b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
            b'+' => 62,
            b'/' => 63,
            _ => return Err(NotBase64),
        };
        self.bits = (self.bits << 6) | u32::from(value);
        self.count = self.count.wrapping_add(1) & 3;
        let byte = match self.count {
            1 => return Ok(None),
            2 => self.bits >> 4,
            3 => self.bits >> 2,
            _ => self.bits,
        };
        let [byte, ..] = byte.to_le_bytes();
        Ok(Some(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str, slice: usize) -> Option<Vec<u8>> {
        let (mut decoder, mut bytes) = (Base64::default(), Vec::new());
        for text in text.as_bytes().chunks(slice) {
            decoder.feed(text, &mut |piece| bytes.extend_from_slice(piece))?;
        }
        Some(bytes)
    }

    #[test]
    fn texts_are_decoded_in_slices_of_any_length() {
        let long = "YWJj".repeat(1000);
        for (text, bytes) in [
            ("", Some(b"".to_vec())),
            ("Zg==", Some(b"f".to_vec())),
            ("Zm8=", Some(b"fo".to_vec())),
            ("Zm9v", Some(b"foo".to_vec())),
            ("Zm9vYmE", Some(b"fooba".to_vec())),
            ("+/8A", Some(vec![0xfb, 0xff, 0])),
            (long.as_str(), Some(b"abc".repeat(1000))),
            ("Zg==Zg==", None),
            ("Zm-v", None),
            ("Zm 9", None),
        ] {
            for slice in [1, 2, 3, 5, 191, 10_000] {
                assert_eq!(decoded(text, slice), bytes, "{text}");
            }
        }
    }
}
