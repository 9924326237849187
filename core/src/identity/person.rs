//! The digest that identifies a person.

use crate::base::Digest;

/// Returns the digest that identifies a person: that of the email address.
pub fn person_digest(email: &str) -> Digest {
    Digest::of(&[b"person\0", email.as_bytes()].concat())
}
