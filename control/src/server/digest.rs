//! SHA-256 digests of tokens in requests.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use keyswap_core::base::Digest;
use serde::{Deserialize, Deserializer};

use super::extract::Segment;
use super::problem::Problem;

/// A digest in a segment of the path.
pub(super) struct DigestSegment(pub(super) Digest);

impl<S: Send + Sync> FromRequestParts<S> for DigestSegment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segment(text) = Segment::<String>::from_request_parts(parts, state).await?;
        parse(&text).map(Self)
    }
}

/// Parses a digest of 64 lower-case hexadecimal digits.
pub(super) fn parse(text: &str) -> Result<Digest, Problem> {
    Digest::from_hex(text).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_digest",
            "expected 64 lower-case hexadecimal digits: the SHA-256 of a token",
        )
    })
}

/// Deserializes a digest of 64 lower-case hexadecimal digits.
pub(super) fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    Digest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("expected a SHA-256"))
}
