//! Upstream secrets: where they come from and who may read them.
//!
//! A [`Secret`] is never printed, never serialised, and wiped from memory when dropped. One that goes upstream is opened by
//! a [`Grant`] only, so no code can reach a real credential before a caller was verified and found in scope. The credential
//! of a service that is asked is of another type ([`ServiceSecret`]), so that neither can be taken for the other.

use std::fmt;

use zeroize::Zeroizing;

use crate::ascii::push_escaped;
use crate::grant::Grant;
use crate::upstream::OpenKey;

/// Where the host's named secrets are looked up, once, when an engine is built.
pub trait Environment {
    /// The value of the variable `name`, or `None` when it is not set.
    fn variable(&self, name: &str) -> Option<Vec<u8>>;

    /// What stands in the place of the value of this credential where it would have to be fetched. A host that fetches
    /// has nothing to say here.
    fn fetched(&self, credential: &str) -> Option<Vec<u8>> {
        let _ = credential;
        None
    }
}

/// An upstream credential, or a header value made from one.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a value cannot be a credential. It tells of the value only what helps to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretFault {
    /// There is nothing in it.
    Empty,
    /// It ends in CR or LF, as a value read from a file often does.
    LineBreakAtEnd,
    /// A byte outside visible ASCII: it cannot stand in a header, or would smuggle one.
    NotVisibleAscii {
        /// The position of the first such byte, from 0.
        at: usize,
    },
}

impl fmt::Display for SecretFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::LineBreakAtEnd => f.write_str("ends with a line break: remove it"),
            Self::NotVisibleAscii { at } => {
                write!(f, "has a byte at position {at} that is not visible ASCII: a credential has none")
            }
        }
    }
}

impl Secret {
    /// Takes a value as a credential.
    pub(crate) fn new(value: Vec<u8>) -> Result<Self, SecretFault> {
        let value = Zeroizing::new(value);
        match value.iter().position(|byte| !byte.is_ascii_graphic()) {
            None if value.is_empty() => Err(SecretFault::Empty),
            None => Ok(Self(value)),
            Some(at) if matches!(value.get(at..), Some(b"\n" | b"\r\n" | b"\r")) => {
                Err(if at == 0 { SecretFault::Empty } else { SecretFault::LineBreakAtEnd })
            }
            Some(at) => Err(SecretFault::NotVisibleAscii { at }),
        }
    }

    /// The secret behind an authentication scheme: `Bearer <secret>`.
    pub(crate) fn with_scheme(&self, scheme: &str) -> Self {
        // The capacity is exact, so that no half-written copy is left behind by a reallocation.
        let mut value = Zeroizing::new(Vec::with_capacity(scheme.len() + 1 + self.0.len()));
        value.extend_from_slice(scheme.as_bytes());
        value.push(b' ');
        value.extend_from_slice(&self.0);
        Self(value)
    }

    /// The secret as the value of a query's parameter (RFC 3986 section 2.1).
    pub(crate) fn percent_encoded(&self) -> Self {
        let mut value = Zeroizing::new(Vec::with_capacity(self.0.len() * 3));
        for byte in self.0.iter().copied() {
            push_escaped(&mut value, byte);
        }
        Self(value)
    }

    /// The bytes, once a grant has opened the key.
    pub(crate) fn opened(&self, _proof: &OpenKey) -> &[u8] {
        &self.0
    }

    /// The bytes, for a caller that was verified and is in scope.
    pub(crate) fn reveal(&self, _proof: &Grant<'_>) -> &[u8] {
        &self.0
    }
}

/// The credential of a service that is asked: it goes into calls to that service, which is all that holds it, and never
/// upstream.
pub(crate) struct ServiceSecret(Secret);

impl ServiceSecret {
    pub(crate) fn new(secret: Secret) -> Self {
        Self(secret)
    }

    pub(crate) fn with_scheme(secret: &Secret, scheme: &str) -> Self {
        Self(secret.with_scheme(scheme))
    }

    /// The text, for a call.
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        // A credential is visible ASCII, so nothing is lost.
        Zeroizing::new(String::from_utf8_lossy(&self.0.0).into_owned())
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
    fn a_value_that_cannot_stand_in_a_header_is_refused() {
        for (value, fault) in [
            (&b""[..], SecretFault::Empty),
            (b"\n", SecretFault::Empty),
            (b"sk-1\n", SecretFault::LineBreakAtEnd),
            (b"sk-1\r\n", SecretFault::LineBreakAtEnd),
            (b"sk-1\r\nx: y", SecretFault::NotVisibleAscii { at: 4 }),
            (b"sk\t1", SecretFault::NotVisibleAscii { at: 2 }),
            (b" sk", SecretFault::NotVisibleAscii { at: 0 }),
            (b"sk\0", SecretFault::NotVisibleAscii { at: 2 }),
            (b"sk\x7f", SecretFault::NotVisibleAscii { at: 2 }),
            ("sk-é".as_bytes(), SecretFault::NotVisibleAscii { at: 3 }),
        ] {
            assert_eq!(Secret::new(value.to_vec()).err(), Some(fault), "{value:?}");
        }
        assert!(Secret::new(b"sk-1".to_vec()).is_ok());
    }

    #[test]
    fn in_a_query_every_byte_that_means_something_there_is_escaped() {
        let secret = Secret::new(b"AIza-_.~09&k=v#%+/?".to_vec()).unwrap();
        assert_eq!(secret.percent_encoded().0.as_slice(), b"AIza-_.~09%26k%3Dv%23%25%2B%2F%3F");
    }

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = Secret::new(b"sk-sentinel".to_vec()).unwrap();
        assert!(!format!("{secret:?} {:?}", secret.with_scheme("Bearer")).contains("sentinel"));
    }
}
