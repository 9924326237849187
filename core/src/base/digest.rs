//! SHA-256 digests, by which tokens, people and documents are identified, compared and cached.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest, which identifies a token, a person or a document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Reads 64 lower-case hexadecimal digits; `None` for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        (lower && hex::decode_to_slice(text, &mut digest).is_ok()).then_some(Self(digest))
    }

    /// Takes the bytes of a digest that was computed before.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the digest.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Writes 64 lower-case hexadecimal digits.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_lower_case_digits() {
        let hex = Digest::of(b"password").to_hex();
        assert_eq!(hex, "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8");
        assert_eq!(Digest::from_hex(&hex), Some(Digest::of(b"password")));
        for text in ["", "5e88", &hex.to_uppercase(), &format!("{hex}00"), &hex.replace('5', "g")] {
            assert_eq!(Digest::from_hex(text), None, "{text}");
        }
    }
}
