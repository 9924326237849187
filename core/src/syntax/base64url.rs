//! Base64url without padding (RFC 7515 section 2), canonical only: for any bytes there is one text that stands for them.
//!
//! Padding, white space, characters of the other alphabet and trailing bits other than zero are refused. So two
//! different tokens never decode to the same bytes.

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _, Encoder as _};

/// Decodes a text; `None` where it is not canonical base64url.
pub(crate) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    Base64UrlSafeNoPadding::decode_to_vec(text, None).ok()
}

/// Encodes bytes; `None` where the text would be too long for this machine.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> Option<String> {
    Base64UrlSafeNoPadding::encode_to_string(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn j12_padding_white_space_and_loose_bits_are_refused() {
        for text in [
            "Zg==",
            "Zm8=",
            "Zg=",
            "Zm 9v",
            "Zm9v\n",
            "\nZm9v",
            "Zm+v",
            "Zm/v",
            "Zh",
            "Zm9",
            "Z",
            "Zm9vA",
            "Zm\u{e9}v",
        ] {
            assert_eq!(decode(text), None, "{text:?}");
        }
        for (text, bytes) in [("", ""), ("Zg", "f"), ("Zm8", "fo"), ("Zm9v", "foo"), ("Zm8-", "fo>")] {
            assert_eq!(decode(text).as_deref(), Some(bytes.as_bytes()), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn j12_what_decodes_is_the_one_encoding_of_its_bytes(text in "[A-Za-z0-9_+/= -]{0,24}") {
            if let Some(bytes) = decode(&text) {
                prop_assert_eq!(encode(bytes), Some(text));
            }
        }

        #[test]
        fn every_encoding_decodes(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = encode(&bytes).unwrap();
            prop_assert_eq!(decode(text), Some(bytes));
        }
    }
}
