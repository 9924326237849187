//! Upstream secrets.
//!
//! A [`Secret`] is never printed, never serialised, and wiped from memory when dropped. Only a [`Proof`] reads it, so no
//! code can reach a real credential before a caller was verified, found in scope and admitted. The credentials of the
//! engine's own services are of another type ([`super::service::ServiceSecret`]); neither can be made from the other.

use std::fmt;

use percent_encoding::percent_encode;
use zeroize::Zeroizing;

use super::error::{SecretError, visible_ascii, with_scheme};
use super::proof::Proof;
use crate::syntax::UNRESERVED;

/// An upstream credential, or a header value made from one.
#[derive(Clone)]
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes a value as a credential.
    pub(crate) fn new(value: Vec<u8>) -> Result<Self, SecretError> {
        visible_ascii(value).map(Self)
    }

    /// Takes the content of a file: a credential, and at most one line break behind it.
    pub(crate) fn of_file(content: Vec<u8>) -> Result<Self, SecretError> {
        let content = Zeroizing::new(content);
        let line = content.strip_suffix(b"\n").map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        // A copy, since the room of the original is that for the longest file.
        Self::new(line.unwrap_or(&content).to_vec())
    }

    /// Tells whether the other secret is the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Puts the secret behind an authentication scheme: `Bearer <secret>`.
    pub(super) fn with_scheme(&self, scheme: &str) -> Self {
        Self(with_scheme(scheme, &self.0))
    }

    /// Writes the secret as the value of a query parameter (RFC 3986 section 2.1).
    pub(super) fn percent_encoded(&self) -> Self {
        // The longest that it can become, so that no half-written copy is left behind by a reallocation.
        let mut value = Zeroizing::new(Vec::with_capacity(self.0.len() * 3));
        for part in percent_encode(&self.0, UNRESERVED) {
            value.extend_from_slice(part.as_bytes());
        }
        Self(value)
    }

    /// Returns the bytes, for a request that was admitted.
    pub(super) fn reveal(&self, _proof: &impl Proof) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
impl Secret {
    /// Returns the bytes, for the tests of this floor.
    pub(super) fn shown(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_a_query_every_byte_that_means_something_there_is_escaped() {
        let secret = Secret::new(b"AIza-_.~09&k=v#%+/?".to_vec()).unwrap();
        assert_eq!(secret.percent_encoded().0.as_slice(), b"AIza-_.~09%26k%3Dv%23%25%2B%2F%3F");
    }

    #[test]
    fn of_a_file_one_line_break_at_the_end_is_left_out() {
        for (content, expect) in [
            (&b"sk-1"[..], Some(&b"sk-1"[..])),
            (b"sk-1\n", Some(b"sk-1")),
            (b"sk-1\r\n", Some(b"sk-1")),
            (b"sk-1\n\n", None),
            (b"sk-1\r", None),
            (b"sk-1\nsk-2\n", None),
            (b"\xef\xbb\xbfsk-1", None),
            (b"\n", None),
            (b"", None),
        ] {
            let secret = Secret::of_file(content.to_vec());
            assert_eq!(secret.as_ref().map(Secret::shown).ok(), expect, "{content:?}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = Secret::new(b"sk-sentinel".to_vec()).unwrap();
        assert!(!format!("{secret:?} {:?}", secret.with_scheme("Bearer")).contains("sentinel"));
    }
}
