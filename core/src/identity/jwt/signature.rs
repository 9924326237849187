//! The check of one signature, prepared so that every verifier gives the same answer.
//!
//! Checks that need no cryptography are made here. They concern the key's algorithm, the length of the signature, and
//! the range of ECDSA's `r` and `s` (RFC 7518 section 3.4). The verifier, be it the host's or [`super::PureRust`], gets
//! only checks that passed these.

use std::borrow::Cow;
use std::fmt;

use jwt_simple::algorithms::{Edwards25519PublicKey, P256PublicKey, P384PublicKey, RSAPublicKey};

use super::algorithm::Algorithm;
use super::jwk::{Jwk, PublicKey};

/// A verifier, which computes signature checks.
pub trait SignatureVerifier {
    /// Returns whether the signature holds.
    ///
    /// # Errors
    /// [`VerifierUnavailable`] where the verifier cannot tell; the request is then refused.
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable>;
}

/// The error of a verifier that could not compute a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierUnavailable;

impl fmt::Display for VerifierUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature could not be checked")
    }
}

impl std::error::Error for VerifierUnavailable {}

/// A signature with the key, the algorithm and the text that belong to it.
pub struct SignatureCheck<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) parts: Parts<'a>,
    pub(super) text: &'a [u8],
    /// The signature as it stood in the token.
    pub(super) signature: &'a [u8],
    pub(super) spki: &'a [u8],
}

/// A key and a signature that fits it.
pub(super) enum Parts<'a> {
    Rsa(&'a RSAPublicKey),
    P256(&'a P256PublicKey, p256::ecdsa::Signature),
    P384(&'a P384PublicKey, p384::ecdsa::Signature),
    Ed25519(&'a Edwards25519PublicKey, ed25519_compact::Signature),
}

/// A check in the form that TLS libraries take: keys and ECDSA signatures in DER.
pub struct NativeCheck<'a> {
    /// The hash function: `sha256`, `sha384` or `sha512`.
    pub hash: &'static str,
    /// The key as a `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
    pub public_key: &'a [u8],
    /// An RSA signature as it is; an ECDSA one as `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3).
    pub signature: Cow<'a, [u8]>,
    /// The text that was signed.
    pub text: &'a [u8],
}

impl<'a> SignatureCheck<'a> {
    /// Prepares a check; `None` where the signature cannot hold, whatever the text.
    pub(super) fn new(
        algorithm: Algorithm,
        jwk: &'a Jwk,
        text: &'a [u8],
        signature: &'a [u8],
    ) -> Option<Self> {
        if !jwk.is_for(algorithm) {
            return None;
        }
        let parts = match jwk.key() {
            PublicKey::Rsa { key, bytes } => (signature.len() == *bytes).then_some(Parts::Rsa(key))?,
            PublicKey::P256(key) => Parts::P256(key, p256::ecdsa::Signature::from_slice(signature).ok()?),
            PublicKey::P384(key) => Parts::P384(key, p384::ecdsa::Signature::from_slice(signature).ok()?),
            PublicKey::Ed25519(key) => {
                Parts::Ed25519(key, ed25519_compact::Signature::from_slice(signature).ok()?)
            }
        };
        Some(Self { algorithm, parts, text, signature, spki: jwk.spki() })
    }

    /// Returns the check for a native verifier; `None` for PSS and `EdDSA`, which Envoy's verifier lacks.
    pub fn native(&self) -> Option<NativeCheck<'a>> {
        let hash = match self.algorithm {
            Algorithm::Rs256 | Algorithm::Es256 => "sha256",
            Algorithm::Rs384 | Algorithm::Es384 => "sha384",
            Algorithm::Rs512 => "sha512",
            Algorithm::Ps256 | Algorithm::EdDsa => return None,
        };
        let signature = match &self.parts {
            Parts::Rsa(_) => Cow::Borrowed(self.signature),
            Parts::P256(_, signature) => Cow::Owned(signature.to_der().as_bytes().to_vec()),
            Parts::P384(_, signature) => Cow::Owned(signature.to_der().as_bytes().to_vec()),
            Parts::Ed25519(..) => return None,
        };
        Some(NativeCheck { hash, public_key: self.spki, signature, text: self.text })
    }
}
