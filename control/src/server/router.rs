//! The routes of the server.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;

use super::problem::Problem;
use super::state::State;
use super::{access_log, admin, data_plane, health, metrics};

/// The largest body of a request, unless a route has its own limit.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Returns the routes of the server.
pub fn router(state: State) -> Router {
    Router::new()
        .merge(data_plane::router::router(&state))
        .merge(admin::router::router(&state))
        .merge(health::router())
        .merge(metrics::router(&state))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "not found"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method not allowed")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), access_log::log))
        .with_state(state)
}
