//! What data planes ask: lookups, changes, limits, introspection; and what they report: uses.
//!
//! All of it needs the data planes' credential.

mod changes;
mod introspect;
mod limits;
mod lookup;
mod usage;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use keyswap_core::TokenDigest;
use serde::{Deserialize, Deserializer};

use super::problem::Problem;
use super::{State, bearer};

pub(super) fn router(state: &State) -> Router<State> {
    Router::new()
        .route("/v1/tokens/{sha256}", get(lookup::token))
        .route("/v1/principals/{email}", get(lookup::principal))
        .route("/v1/changes", get(changes::changes))
        .route("/v1/usage", post(usage::usage))
        .route("/v1/limits", post(limits::limits))
        .route("/introspect", post(introspect::introspect))
        .route_layer(middleware::from_fn_with_state(state.clone(), bearer::require))
}

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
fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TokenDigest, D::Error> {
    let text = String::deserialize(deserializer)?;
    TokenDigest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("expected a SHA-256"))
}
