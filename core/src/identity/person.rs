//! What a person is remembered by.

use crate::base::Digest;

/// What a person is remembered by.
pub(crate) fn person_digest(email: &str) -> Digest {
    Digest::of(&[b"person\0", email.as_bytes()].concat())
}
