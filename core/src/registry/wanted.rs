//! What a registry is asked for: a token, or a person by their address.

use crate::fetch::Subject;
use crate::text::is_email;
use crate::token::TokenDigest;

/// Tokens of these lengths can be in a registry.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=4096;

#[derive(Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// The caller's token, as it came, and its digest.
    Token(&'a [u8], TokenDigest),
    /// A verified address, in lower case.
    Person(&'a str),
}

impl Wanted<'_> {
    /// Whether it can be in a registry at all: what cannot is neither looked for nor asked for.
    pub(super) fn can_be(self) -> bool {
        match self {
            Self::Token(token, _) => LENGTHS.contains(&token.len()) && token.iter().all(u8::is_ascii_graphic),
            Self::Person(email) => is_email(email),
        }
    }

    pub(crate) fn subject(self) -> Subject {
        match self {
            Self::Token(_, digest) => Subject::Token(digest),
            Self::Person(email) => Subject::Person(email.to_owned()),
        }
    }

    pub(super) fn path(self) -> String {
        match self {
            Self::Token(_, digest) => format!("/v1/tokens/{}", digest.to_hex()),
            Self::Person(email) => {
                let mut path = "/v1/principals/".to_owned();
                form_encode(email.as_bytes(), |byte| path.push(char::from(byte)));
                path
            }
        }
    }
}

impl Subject {
    /// What a record is remembered by. No token that can be has the digest of a person: it would have to hold a NUL.
    pub(super) fn digest(&self) -> Option<TokenDigest> {
        match self {
            Self::Token(digest) => Some(*digest),
            Self::Person(email) => Some(person(email)),
            _ => None,
        }
    }
}

/// What a person is remembered by.
pub(crate) fn person(email: &str) -> TokenDigest {
    TokenDigest::of(&[b"person\0", email.as_bytes()].concat())
}

/// Percent-encodes all but letters, digits, `-`, `_` and `.`.
pub(super) fn form_encode(bytes: &[u8], mut push: impl FnMut(u8)) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or_default();
    for byte in bytes.iter().copied() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            push(byte);
        } else {
            [b'%', digit(byte >> 4), digit(byte & 15)].into_iter().for_each(&mut push);
        }
    }
}
