//! All routes of the server.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;

use super::problem::Problem;
use super::state::State;
use super::{access_log, admin, data_plane, health};

/// The most bytes in the body of a request.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Returns all routes.
pub fn router(state: State) -> Router {
    Router::new()
        .merge(data_plane::router::router(&state))
        .merge(admin::router::router(&state))
        .merge(health::router())
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn(access_log::log))
        .with_state(state)
}
