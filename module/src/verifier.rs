//! Signatures, computed by the machine's own instructions where the library has them.
//!
//! Algorithms that are not among those of [`SignatureCheck::native`] are computed in Rust.

use keyswap_core::identity::jwt::{
    NativeCheck, PureRust, SignatureCheck, SignatureVerifier, VerifierUnavailable,
};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

/// The native verifier, and the engine's own behind it.
pub(crate) struct NativeVerifier;

impl SignatureVerifier for NativeVerifier {
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        let Some(native) = check.native() else { return PureRust.verify(check) };
        let (algorithm, key) = key(&native).ok_or(VerifierUnavailable)?;
        Ok(UnparsedPublicKey::new(algorithm, key).verify(native.text, &native.signature).is_ok())
    }
}

/// The object identifiers of the keys (RFC 3279 section 2.3, RFC 5480 section 2.1.1.1), in DER.
const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
const P256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
const P384: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22";

/// Returns the algorithm of a check, and its key without the envelope that names the kind of key.
fn key<'a>(check: &NativeCheck<'a>) -> Option<(&'static dyn VerificationAlgorithm, &'a [u8])> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (envelope, _) = element(check.public_key, SEQUENCE)?;
    let (kind, rest) = element(envelope, SEQUENCE)?;
    let (bits, _) = element(rest, BIT_STRING)?;
    // The first byte is the number of bits that are not used.
    let key = bits.strip_prefix(&[0])?;
    let algorithm: &'static dyn VerificationAlgorithm = match check.hash {
        "sha256" if kind.starts_with(RSA) => &RSA_PKCS1_2048_8192_SHA256,
        "sha384" if kind.starts_with(RSA) => &RSA_PKCS1_2048_8192_SHA384,
        "sha512" if kind.starts_with(RSA) => &RSA_PKCS1_2048_8192_SHA512,
        "sha256" if kind.ends_with(P256) => &ECDSA_P256_SHA256_ASN1,
        "sha384" if kind.ends_with(P384) => &ECDSA_P384_SHA384_ASN1,
        _ => return None,
    };
    Some((algorithm, key))
}

/// Reads an element of DER with this tag. Returns its content and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
