//! The key of a lookup: a token, or a person by their address.

use std::ops::RangeInclusive;

use percent_encoding::percent_encode;

use crate::base::Digest;
use crate::base::bytes::is_graphic;
use crate::identity::person_digest;
use crate::services::fetch::Subject;
use crate::syntax::{FORM, is_email};

/// The lengths of tokens that can be in a registry, in bytes.
const TOKEN_BYTES: RangeInclusive<usize> = 12..=4096;

#[derive(Clone, Copy)]
pub(crate) enum LookupKey<'a> {
    /// The caller's token, as it came, and its digest: a token that a registry can hold, see [`LookupKey::may_be_token`].
    Token(&'a [u8], Digest),
    /// The digest of a token that was known before.
    Known(Digest),
    /// A verified address, in lower case, and the digest of its person: without a record its bearer may do nothing.
    Person(&'a str, Digest),
    /// An address, in lower case, and the digest of its person, whose record narrows what its bearer may do anyway.
    Bounds(&'a str, Digest),
}

impl LookupKey<'_> {
    /// Tells whether a registry can hold the key at all. Any other key is neither looked up nor fetched.
    pub(super) fn is_plausible(self) -> bool {
        match self {
            Self::Token(..) | Self::Known(_) => true,
            Self::Person(email, _) | Self::Bounds(email, _) => is_email(email),
        }
    }

    /// Tells whether the key is of a person: an issuer has vouched for the address, so it is no guess.
    pub(super) fn is_of_person(self) -> bool {
        matches!(self, Self::Person(..) | Self::Bounds(..))
    }

    /// Tells whether a registry can hold a token.
    pub(crate) fn may_be_token(token: &[u8]) -> bool {
        TOKEN_BYTES.contains(&token.len()) && is_graphic(token)
    }

    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::Token(_, digest) | Self::Known(digest) => Subject::Token(digest),
            Self::Person(email, _) | Self::Bounds(email, _) => Subject::Person(email.to_owned()),
        }
    }

    /// Returns the digest by which the record is cached.
    pub(crate) fn digest(self) -> Digest {
        match self {
            Self::Token(_, digest)
            | Self::Known(digest)
            | Self::Person(_, digest)
            | Self::Bounds(_, digest) => digest,
        }
    }

    pub(super) fn path(self) -> String {
        match self {
            Self::Token(_, digest) | Self::Known(digest) => format!("/v1/tokens/{}", digest.to_hex()),
            Self::Person(email, _) | Self::Bounds(email, _) => {
                format!("/v1/principals/{}", percent_encode(email.as_bytes(), FORM))
            }
        }
    }
}

impl Subject {
    /// Returns the digest by which the record is cached; `None` for other subjects.
    ///
    /// No token that is plausible has the digest of a person: it would have to hold a NUL.
    pub(super) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Token(digest) => Some(*digest),
            Self::Person(email) => Some(person_digest(email)),
            _ => None,
        }
    }
}
