//! The administration as JSON: what the dashboard does, for programs.

mod audit;
mod policies;
mod tokens;
mod users;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use serde::{Deserialize, Deserializer};

pub(super) use tokens::grace;

use crate::registry::{Listing, Status};
use crate::serve::State;

/// The most bytes of an import: what the largest policy needs.
const IMPORT_LIMIT: usize = 8 * 1024 * 1024;

/// The most bytes that hold a signed policy: data planes take none that is longer.
const BUNDLE_LIMIT: usize = keyswap_core::services::MAX_BUNDLE_BYTES + 1024;

pub(super) fn router() -> Router<State> {
    Router::new()
        .route("/tokens", get(tokens::list).post(tokens::create))
        .route("/tokens/import", post(tokens::import).layer(DefaultBodyLimit::max(IMPORT_LIMIT)))
        .route("/tokens/{sha256}", get(tokens::show).patch(tokens::change).delete(tokens::delete))
        .route("/tokens/{sha256}/rotate", post(tokens::rotate))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{email}", get(users::show).patch(users::change).delete(users::delete))
        .route(
            "/policies",
            get(policies::list).post(policies::publish).layer(DefaultBodyLimit::max(BUNDLE_LIMIT)),
        )
        .route("/policies/{name}", get(policies::show))
        .route("/policies/{name}/revisions/{revision}", get(policies::bundle))
        .route("/audit", get(audit::list))
}

/// Which part of a list is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    search: Option<String>,
    status: Option<Status>,
    after: Option<i64>,
    limit: Option<u32>,
}

impl From<Wanted> for Listing {
    fn from(wanted: Wanted) -> Self {
        let Wanted { search, status, after, limit } = wanted;
        Self { search, status, after, limit }
    }
}

/// A field that may be there as `null`: `Some(None)`, which is not the same as not being there.
#[expect(clippy::option_option, reason = "there are three cases")]
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
