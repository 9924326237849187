//! The digests of tokens in use: a token that comes again is compared, which costs less than to hash it.
//!
//! Proxy tokens and identity JWTs are kept, and only those that were verified, so that guesses take no place. Each is in the
//! place that its fingerprint says. A token is found only where all of its bytes are the same, so a digest is never another
//! token's. The comparison takes the same time wherever two tokens differ, and the kept bytes are wiped when they go.

use std::cell::RefCell;

use zeroize::Zeroizing;

use crate::base::Digest;
use crate::base::bytes::{fingerprint, is_one_element, is_same};

/// The number of places. A token that finds its place taken takes it over.
const PLACES: usize = 1024;
/// The longest token that is kept, in bytes: all places together hold two megabytes at most.
const MAX_KEPT_BYTES: usize = 2048;

/// The digests that one engine knows.
#[derive(Default)]
pub(super) struct KnownDigests(RefCell<Vec<Known>>);

#[derive(Clone, Default)]
struct Known {
    fingerprint: u64,
    token: Zeroizing<Vec<u8>>,
    digest: Option<Digest>,
}

impl KnownDigests {
    /// Returns the digest of a token that is kept.
    pub(super) fn find(&self, token: &[u8]) -> Option<Digest> {
        let all = self.0.try_borrow().ok()?;
        if all.is_empty() || token.len() > MAX_KEPT_BYTES {
            return None;
        }
        let fingerprint = fingerprint(token);
        let known = all.get(place(fingerprint))?;
        let is_it = known.fingerprint == fingerprint && is_same(&known.token, token);
        known.digest.filter(|_| is_it)
    }

    /// Keeps the digest of a verified token. One that is no element of a list is not kept: a slot that holds a kept token is
    /// not searched for a second one.
    pub(super) fn keep(&self, token: &[u8], digest: Digest) {
        let Ok(mut all) = self.0.try_borrow_mut() else { return };
        if token.len() > MAX_KEPT_BYTES || !is_one_element(token) {
            return;
        }
        all.resize(PLACES, Known::default());
        let fingerprint = fingerprint(token);
        if let Some(known) = all.get_mut(place(fingerprint)) {
            *known = Known { fingerprint, token: Zeroizing::new(token.to_vec()), digest: Some(digest) };
        }
    }
}

fn place(fingerprint: u64) -> usize {
    // The highest bits depend on every byte of the token.
    usize::try_from(fingerprint >> 54).unwrap_or(0) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_found_for_the_very_token_only_and_the_memory_is_bounded() {
        let known = KnownDigests::default();
        assert_eq!(known.find(b""), None);
        let token = |number: u32| format!("eyJ.{number}.signature-of-{number}").into_bytes();
        let mut found = 0;
        for number in 0..8000 {
            known.keep(&token(number), Digest::of(&token(number)));
            assert_eq!(known.find(&token(number)), Some(Digest::of(&token(number))));
        }
        for number in 0..16_000 {
            if let Some(digest) = known.find(&token(number)) {
                assert_eq!(digest, Digest::of(&token(number)));
                found += 1;
            }
        }
        assert!((PLACES / 2..=PLACES).contains(&found), "{found}");
        assert_eq!(known.0.borrow().len(), PLACES);
        let long = vec![b'x'; MAX_KEPT_BYTES + 1];
        known.keep(&long, Digest::of(&long));
        assert_eq!(known.find(&long), None);
    }

    #[test]
    fn a_token_that_is_no_element_of_a_list_is_not_kept() {
        let known = KnownDigests::default();
        for token in [&b"a,b"[..], b"a b", b"a\0", b",", b" "] {
            known.keep(token, Digest::of(token));
            assert_eq!(known.find(token), None, "{token:?}");
        }
    }

    #[test]
    fn a_place_with_the_same_fingerprint_gives_no_other_tokens_digest() {
        let known = KnownDigests::default();
        known.keep(b"eyJ.a.b", Digest::of(b"eyJ.a.b"));
        // As if two tokens had one fingerprint.
        let other = fingerprint(b"eyJ.a.c");
        for known in known.0.borrow_mut().iter_mut() {
            (known.fingerprint, known.token) = (other, Zeroizing::new(b"eyJ.a.b".to_vec()));
            known.digest = Some(Digest::of(b"eyJ.a.b"));
        }
        assert_eq!(known.find(b"eyJ.a.c"), None);
    }
}
