//! Digests of tokens in requests.

use axum::http::StatusCode;
use keyswap_core::TokenDigest;
use serde::{Deserialize, Deserializer};

use super::problem::Problem;

/// A digest in a path.
pub(super) fn digest(text: &str) -> Result<TokenDigest, Problem> {
    TokenDigest::from_hex(text).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_digest",
            "expected 64 lower-case hexadecimal digits: the SHA-256 of a token",
        )
    })
}

/// A digest in a body.
pub(super) fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenDigest, D::Error> {
    let text = String::deserialize(deserializer)?;
    TokenDigest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("expected a SHA-256"))
}
