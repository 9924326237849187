//! Published keys that must not verify any token, each with its expected error.

use keyswap_core::identity::jwt::JwkError;
use serde_json::{Value, json};

use super::super::{base64url, with};

/// Returns invalid keys, and keys for another use. `good` is a valid P-256 key.
pub(crate) fn j5(good: &Value) -> Vec<(Value, JwkError)> {
    let changed = |changes: Value| with(good, &changes);
    vec![
        (json!({"kty": "oct", "kid": "symmetric", "k": base64url("secret"), "alg": "HS256"}), JwkError::Type),
        (json!({"kty": "oct", "kid": "bare", "k": "AAAA"}), JwkError::Type),
        (changed(json!({"kid": "off-curve", "y": base64url([1; 32])})), JwkError::Unsafe),
        (changed(json!({"kid": "off-curve-2", "y": good["x"]})), JwkError::Unsafe),
        (json!(7), JwkError::Type),
        (json!(null), JwkError::Type),
        (json!({"kty": "EC"}), JwkError::Type),
        (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), JwkError::Unsafe),
        (json!({"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"}), JwkError::Unsafe),
        (changed(json!({"kid": 5})), JwkError::KeyId),
        (changed(json!({"kid": "of-rsa", "alg": "RS256"})), JwkError::Algorithm),
        (changed(json!({"kid": "for-signing", "key_ops": ["sign"]})), JwkError::Use),
        (changed(json!({"kid": "private", "d": "AA"})), JwkError::Private),
        (changed(json!({"kid": "padded", "x": "AA=="})), JwkError::Encoding),
    ]
}

/// Returns RSA keys of an unsafe size or exponent. `good` is a safe key.
pub(crate) fn j14(good: &Value) -> Vec<(Value, JwkError)> {
    let key =
        |kid: String, changes: Value| (with(&with(good, &json!({"kid": kid})), &changes), JwkError::Unsafe);
    let sizes = [512, 1024, 2047, 4097, 8192, 8193, 16384, 65536]
        .map(|bits| key(format!("bits-{bits}"), json!({"n": base64url(modulus(bits))})));
    // With an exponent of 1 the padded digest would be its own signature.
    let exponents: [&[u8]; 8] = [&[], &[0], &[1], &[2], &[3], &[1, 0, 0], &[0xff; 256], &[1, 0, 0, 0, 1]];
    let exponents = exponents.iter().enumerate();
    let exponents = exponents.map(|(at, e)| key(format!("exponent-{at}"), json!({"e": base64url(e)})));
    let even = [modulus(2040), vec![0xfe]].concat();
    let others = [
        key("even".to_owned(), json!({"n": base64url(even)})),
        key("empty".to_owned(), json!({"n": base64url([])})),
    ];
    sizes.into_iter().chain(exponents).chain(others).collect()
}

/// Returns the greatest number of this many bits.
pub(crate) fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; bits.div_ceil(8)];
    if !bits.is_multiple_of(8) {
        bytes[0] = 0xff >> (8 - bits % 8);
    }
    bytes
}
