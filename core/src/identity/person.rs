//! The digest that identifies a person.

use crate::base::Digest;

/// The name that stands for known people where an issuer's name stands for its subjects, so no issuer has it.
pub(crate) const PEOPLE: &str = "person";

/// Returns the digest that identifies a person: that of the email address.
pub fn person_digest(email: &str) -> Digest {
    Digest::of(format!("{PEOPLE}\0{email}").as_bytes())
}
