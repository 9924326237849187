//! Signatures, computed by Envoy where it can: its TLS library is many times faster than anything in Wasm.
//!
//! Algorithms that Envoy lacks (PSS, `EdDSA`, or the function at all) are computed in Wasm. A signature that cannot be
//! checked is not taken for one that holds.

use keyswap_core::identity::jwt::{
    NativeCheck, PureRust, SignatureCheck, SignatureVerifier, VerifierUnavailable,
};

use keyswap_streams::HostError;

use crate::host;

/// Envoy's foreign function. Arguments and results are protobuf messages.
const FUNCTION: &str = "verify_signature";

/// Envoy's verifier, and ours behind it.
pub(crate) struct EnvoyVerifier;

impl SignatureVerifier for EnvoyVerifier {
    fn verify(&self, check: &SignatureCheck<'_>) -> Result<bool, VerifierUnavailable> {
        let Some(native) = check.native() else { return PureRust.verify(check) };
        match host::call_foreign_function(FUNCTION, &arguments(&native)) {
            Ok(results) => Ok(holds(&results)),
            Err(HostError::Status(_, host::NOT_FOUND)) => PureRust.verify(check),
            Err(error) => {
                log::error!("a signature cannot be verified: {error}");
                Err(VerifierUnavailable)
            }
        }
    }
}

/// Returns `hash_function = 1, public_key = 2, signature = 3, text = 4`, as protobuf.
fn arguments(check: &NativeCheck<'_>) -> Vec<u8> {
    let fields = [check.hash.as_bytes(), check.public_key, &check.signature, check.text];
    let mut message = Vec::with_capacity(fields.iter().map(|field| field.len().saturating_add(6)).sum());
    for (number, field) in (1_u8..).zip(fields) {
        const LENGTH_DELIMITED: u8 = 2;
        message.push(number << 3 | LENGTH_DELIMITED);
        let mut length = field.len();
        while length > 0x7f {
            message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(field);
    }
    message
}

/// Returns whether the signature holds. `result = 1`, a varint, is only sent where it is true, and before everything
/// else.
fn holds(results: &[u8]) -> bool {
    results.starts_with(&[1 << 3, 1])
}
