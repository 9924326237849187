//! Signature checks in Rust, on the keys of `jwt-simple` and the libraries beneath it. They serve hosts without a
//! native verifier, and the algorithms that native ones lack.
//!
//! `jwt-simple` verifies whole tokens only, and reads their header, claims and clock in its own way. Here one validator
//! judges every token, so only the signature is computed.

use p256::ecdsa::signature::Verifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use jwt_simple::algorithms::RSAPublicKey;

use super::algorithm::Algorithm;
use super::signature::{Parts, SignatureCheck, SignatureVerifier, VerifierUnavailable};

/// The verifier that every host has.
#[derive(Clone, Copy, Debug)]
pub struct PureRust;

impl SignatureVerifier for PureRust {
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        Ok(match &check.parts {
            Parts::Rsa(key) => verify_rsa(key, check).unwrap_or(false),
            Parts::P256(key, signature) => holds(|| key.as_ref().verify(check.text, signature)),
            Parts::P384(key, signature) => holds(|| key.as_ref().verify(check.text, signature)),
            Parts::Ed25519(key, signature) => holds(|| key.as_ref().verify(check.text, signature)),
        })
    }
}

/// Returns whether a verification succeeds. Each algorithm stays one function, see `read` in `policy/assembly.rs`.
#[inline(never)]
fn holds<E>(verify: impl FnOnce() -> Result<(), E>) -> bool {
    verify().is_ok()
}

/// Verifies an RSA signature; `None` means that it does not hold.
#[inline(never)]
fn verify_rsa(key: &RSAPublicKey, check: &SignatureCheck<'_>) -> Option<bool> {
    let (digest, padding) = match check.algorithm {
        Algorithm::Rs256 => (MessageDigest::sha256(), Padding::PKCS1),
        Algorithm::Rs384 => (MessageDigest::sha384(), Padding::PKCS1),
        Algorithm::Rs512 => (MessageDigest::sha512(), Padding::PKCS1),
        // The salt is as long as the digest unless said otherwise, as RFC 7518 section 3.5 has it.
        Algorithm::Ps256 => (MessageDigest::sha256(), Padding::PKCS1_PSS),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    };
    let key = PKey::from_rsa(key.as_ref().clone()).ok()?;
    let mut verifier = Verifier::new(digest, &key).ok()?;
    verifier.set_rsa_padding(padding).ok()?;
    verifier.update(check.text).ok()?;
    verifier.verify(check.signature).ok()
}
