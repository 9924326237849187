//! What data planes ask: lookups, changes, limits, policies, introspection; and what they report: uses, and what they run.
//!
//! All of it needs the data planes' credential, except for the description of it all.

mod changes;
mod conditional;
mod introspect;
mod limits;
mod lookup;
mod openapi;
mod policies;
mod usage;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use keyswap_core::base::Digest;
use serde::{Deserialize, Deserializer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::{State, bearer};

pub(super) fn router(state: &State) -> Router<State> {
    let (router, api) = OpenApiRouter::with_openapi(openapi::document())
        .routes(routes!(lookup::token))
        .routes(routes!(lookup::principal))
        .routes(routes!(changes::changes))
        .routes(routes!(usage::usage))
        .routes(routes!(limits::limits))
        .routes(routes!(introspect::introspect))
        .routes(routes!(policies::policy))
        .split_for_parts();
    router
        .route_layer(middleware::from_fn_with_state(state.clone(), bearer::require))
        .merge(openapi::router(&api))
}

/// A digest in a path.
pub(super) fn digest(text: &str) -> Result<Digest, Problem> {
    Digest::from_hex(text).ok_or_else(|| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_digest",
            "expected 64 lower-case hexadecimal digits: the SHA-256 of a token",
        )
    })
}

/// A digest in a body.
fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    Digest::from_hex(&text).ok_or_else(|| serde::de::Error::custom("expected a SHA-256"))
}
