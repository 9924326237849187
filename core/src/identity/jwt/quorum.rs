//! Public keys, and the number of them that must have signed the same payload.
//!
//! A key counts once, however often it has signed and under however many names it stands in the set. A signature that does
//! not hold, or that is of an unknown key, counts for nothing; it spoils no other one, so that keys can be replaced.

use super::jwk::Jwk;
use super::jwk_set::JwkSet;
use super::jws::{JwsError, UnverifiedJws};
use super::signature::SignatureVerifier;
use super::signatures::{JwsSignatures, MAX_SIGNATURES};

/// Keys, and the number of different ones whose signatures are required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    keys: JwkSet,
    required: usize,
}

/// A payload, and the keys of a quorum that have signed it.
pub(crate) struct Tally {
    /// The payload. It is trusted only where enough keys have signed it.
    pub(crate) payload: Vec<u8>,
    /// The names of the keys, in the order of their signatures. Each key is there once.
    pub(crate) signed_by: Vec<String>,
    /// The signatures of those keys alone.
    pub(crate) jws: JwsSignatures,
    /// Set where a signature could not be checked now.
    pub(crate) is_uncertain: bool,
}

impl Quorum {
    /// Returns `None` for a number that the keys cannot reach: 0, more than there are different keys, or more than
    /// [`MAX_SIGNATURES`].
    pub fn new(keys: JwkSet, required: usize) -> Option<Self> {
        let most = Self::most(&keys);
        // No signature of a set without keys holds.
        (1..=most.max(1)).contains(&required).then_some(Self { keys, required })
    }

    /// Returns the greatest number of signatures that can be required.
    pub fn most(keys: &JwkSet) -> usize {
        let keys = keys.keys();
        let is_first =
            |(index, key): &(usize, &Jwk)| keys.iter().take(*index).all(|before| before.spki() != key.spki());
        keys.iter().enumerate().filter(is_first).count().min(MAX_SIGNATURES)
    }

    /// Returns the keys.
    pub fn keys(&self) -> &JwkSet {
        &self.keys
    }

    /// Returns the number of keys that must have signed.
    pub fn required(&self) -> usize {
        self.required
    }

    /// Verifies all signatures of a JWS of exactly this type.
    ///
    /// # Errors
    /// [`JwsError`] where one of its parts is malformed.
    pub(crate) fn verify(
        &self,
        jws: JwsSignatures,
        typ: &str,
        longest: usize,
        verifier: &dyn SignatureVerifier,
    ) -> Result<Tally, JwsError> {
        let (mut payload, mut signed_by, mut is_uncertain) = (Vec::new(), Vec::new(), false);
        let (mut found, mut places): (Vec<&[u8]>, Vec<usize>) = (Vec::new(), Vec::new());
        for (place, text) in jws.compact().enumerate() {
            let one = UnverifiedJws::parse_of_type(text.as_bytes(), typ, longest)?;
            if let Ok(key) = self.keys.select(&one)
                && found.len() < MAX_SIGNATURES
                && !found.contains(&key.spki())
            {
                match one.signature_holds(key, verifier) {
                    Ok(true) => {
                        found.push(key.spki());
                        places.push(place);
                        signed_by.push(key.kid().unwrap_or_default().to_owned());
                    }
                    Ok(false) => {}
                    Err(_) => is_uncertain = true,
                }
            }
            payload = one.into_unverified_payload();
        }
        Ok(Tally { payload, signed_by, jws: jws.only(&places), is_uncertain })
    }
}
