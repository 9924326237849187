//! Sealed tokens: a caller's own token that holds a provider's short-lived secret, which only the holder of a key opens.
//!
//! A token is XChaCha20-Poly1305 over everything that it means, so nothing of it can be read, changed or exchanged. The
//! nonce is a keyed digest of what is sealed, as RFC 6979 has it for signatures: the engine needs no randomness, and two
//! tokens share a nonce only where they are the same. Nothing is stored anywhere.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::sealed::Secret;
use crate::base::{Digest, UnixTime};
use crate::request::credential::SEALED_PREFIX as PREFIX;
use crate::syntax::base64url;

/// The longest secret that is sealed, in bytes: the token has to fit into a header. The JWTs of providers are shorter.
pub(crate) const MAX_SECRET_BYTES: usize = 4096;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// The purpose and the version of a token's form.
const PURPOSE: &[u8] = b"keyswap broker 1";

/// The meaning of a sealed token, beside its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The provider that the secret is for, and the one upstream that gets it.
    pub(crate) audience: String,
    /// The digest of the token whose caller got it.
    pub(crate) parent: Digest,
    /// The moment from which the token is refused.
    pub(crate) expires_at: UnixTime,
}

/// A key that seals tokens and opens them.
pub(crate) struct SealKey {
    cipher: XChaCha20Poly1305,
    nonces: Zeroizing<[u8; KEY_BYTES]>,
}

impl SealKey {
    /// Reads a key as an operator writes it: 32 bytes, in hexadecimal digits or in base64url. Returns `None` for any other
    /// text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(if text.len() == 2 * KEY_BYTES {
            hex::decode(text).ok()?
        } else {
            base64url::decode(text)?
        });
        (bytes.len() == KEY_BYTES).then(|| Self::of(&bytes))
    }

    /// Makes the key of any bytes, for hosts whose secrets are stand-ins.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let derive = |part: &[u8]| {
            let text = Zeroizing::new([PURPOSE, part, bytes].concat());
            Zeroizing::new(*Digest::of(&text).bytes())
        };
        let cipher = XChaCha20Poly1305::new((&*derive(b"\0cipher\0")).into());
        Self { cipher, nonces: derive(b"\0nonces\0") }
    }

    /// Seals a secret. Returns `None` where it is too long, or the audience is.
    pub(crate) fn seal(&self, claims: &Claims, secret: &str) -> Option<String> {
        let length =
            u16::try_from(claims.audience.len()).ok().filter(|_| secret.len() <= MAX_SECRET_BYTES)?;
        let parts: [&[u8]; 5] = [
            &claims.expires_at.0.to_be_bytes(),
            claims.parent.bytes(),
            &length.to_be_bytes(),
            claims.audience.as_bytes(),
            secret.as_bytes(),
        ];
        let mut text = Zeroizing::new(parts.concat());
        let nonce = self.nonce(&text);
        let tag = self.cipher.encrypt_inout_detached(&nonce, PURPOSE, text.as_mut_slice().into()).ok()?;
        let sealed = [nonce.as_slice(), text.as_slice(), tag.as_slice()].concat();
        Some(PREFIX.to_owned() + &base64url::encode(sealed)?)
    }

    /// Opens a token. Returns `None` for a token that this key did not seal.
    pub(crate) fn open(&self, token: &[u8]) -> Option<(Claims, Secret)> {
        let sealed = base64url::decode(token.strip_prefix(PREFIX.as_bytes())?)?;
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let (nonce, tag) = (nonce.into(), tag.into());
        self.cipher.decrypt_inout_detached(nonce, PURPOSE, text.as_mut_slice().into(), tag).ok()?;
        let (expires_at, rest) = text.split_first_chunk()?;
        let (parent, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (audience, secret) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let claims = Claims {
            audience: str::from_utf8(audience).ok()?.to_owned(),
            parent: Digest::from_bytes(*parent),
            expires_at: UnixTime(i64::from_be_bytes(*expires_at)),
        };
        Some((claims, Secret::new(secret.to_vec()).ok()?))
    }

    fn nonce(&self, text: &[u8]) -> XNonce {
        let keyed = Zeroizing::new([&self.nonces[..], text].concat());
        let digest = Digest::of(&keyed);
        let mut nonce = XNonce::default();
        nonce.iter_mut().zip(digest.bytes()).for_each(|(byte, other)| *byte = *other);
        nonce
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealKey {
        SealKey::read(&"5a".repeat(32)).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            audience: "openai https://api.openai.com".to_owned(),
            parent: Digest::of(b"ptk_1"),
            expires_at: UnixTime(1_800_000_600),
        }
    }

    fn opened(key: &SealKey, token: &[u8]) -> Option<(Claims, String)> {
        let (claims, secret) = key.open(token)?;
        Some((claims, String::from_utf8(secret.shown().to_vec()).unwrap()))
    }

    #[test]
    fn a_token_opens_to_what_was_sealed_and_shows_nothing_of_it() {
        let secrets = ["ek_1".to_owned(), "x".repeat(MAX_SECRET_BYTES)];
        for secret in secrets {
            let token = key().seal(&claims(), &secret).unwrap();
            assert_eq!(opened(&key(), token.as_bytes()), Some((claims(), secret.clone())));
            assert!(token.starts_with(PREFIX) && !token.contains("openai") && !token.contains(&secret));
            assert!(
                token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                "{token}"
            );
            assert!(token.len() < 8 * 1024);
        }
        assert_eq!(key().seal(&claims(), &"x".repeat(MAX_SECRET_BYTES + 1)), None);
        assert_eq!(key().seal(&Claims { audience: "p".repeat(65_536), ..claims() }, "ek_1"), None);
    }

    #[test]
    fn a_token_that_was_changed_anywhere_cut_or_extended_does_not_open() {
        let token = key().seal(&claims(), "ek_0123456789").unwrap();
        for at in 0..token.len() {
            for other in [b'A', b'B', b'.', b' ', 0] {
                let mut changed = token.clone().into_bytes();
                if std::mem::replace(&mut changed[at], other) != other {
                    assert_eq!(opened(&key(), &changed), None, "{at}");
                }
            }
            assert_eq!(opened(&key(), &token.as_bytes()[..at]), None, "{at}");
        }
        for end in ["A", "AAAA", "=", "\n"] {
            assert_eq!(opened(&key(), (token.clone() + end).as_bytes()), None, "{end:?}");
        }
    }

    #[test]
    fn another_key_opens_nothing() {
        let token = key().seal(&claims(), "ek_1").unwrap();
        assert_eq!(opened(&SealKey::read(&"5b".repeat(32)).unwrap(), token.as_bytes()), None);
    }

    #[test]
    fn two_tokens_share_a_nonce_only_where_they_are_the_same() {
        let other = [
            Claims { audience: "openai https://api.openai.con".to_owned(), ..claims() },
            Claims { parent: Digest::of(b"ptk_2"), ..claims() },
            Claims { expires_at: UnixTime(1_800_000_601), ..claims() },
        ];
        let token = |claims: &Claims, secret: &str| key().seal(claims, secret).unwrap();
        let mut tokens = vec![token(&claims(), "ek_1"), token(&claims(), "ek_2")];
        tokens.extend(other.iter().map(|claims| token(claims, "ek_1")));
        let mut nonces: Vec<&str> = tokens.iter().map(|token| &token[..PREFIX.len() + 32]).collect();
        nonces.sort_unstable();
        nonces.dedup();
        assert_eq!(nonces.len(), tokens.len());
        assert_eq!(token(&claims(), "ek_1"), tokens[0]);
    }

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_digits_or_base64url() {
        for (text, is_key) in [
            ("5a".repeat(32), true),
            ("5A".repeat(32), true),
            ("A".repeat(43), true),
            ("5a".repeat(31), false),
            ("5a".repeat(33), false),
            ("zz".repeat(32), false),
            ("A".repeat(42), false),
            (format!("{}=", "A".repeat(43)), false),
            ("B".repeat(43), false),
            (String::new(), false),
        ] {
            assert_eq!(SealKey::read(&text).is_some(), is_key, "{text}");
        }
        assert!(!format!("{:?}", key()).contains("5a"));
    }
}
