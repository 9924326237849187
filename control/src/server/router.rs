//! The routes of the server, at one address or at two.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;

use super::problem::Problem;
use super::state::State;
use super::{access_log, admin, data_plane, devices, health, metrics};

/// The largest body of a request, unless a route has its own limit.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// The routes of one address. Health is at every address.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// All of the server.
    All,
    /// The API for data planes.
    DataPlanes,
    /// The dashboard, the administration API and metrics.
    Administration,
    /// The dashboard and the administration API: nothing that a credential of a data plane opens.
    Dashboard,
}

/// Returns the routes of an address.
pub(super) fn router(state: State, part: Part) -> Router {
    let mut routes = Router::new();
    if matches!(part, Part::All | Part::DataPlanes) {
        routes = routes.merge(data_plane::router::router(&state));
    }
    if matches!(part, Part::All | Part::Administration | Part::Dashboard) {
        routes = routes.merge(admin::router::router(&state));
    }
    if matches!(part, Part::All | Part::Administration) {
        routes = routes.merge(devices::router::router(&state));
    }
    if !matches!(part, Part::Dashboard) {
        routes = routes.merge(devices::router::key_router(&state));
        routes = routes.merge(metrics::router(&state));
    }
    routes
        .merge(health::router())
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "not found"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "method not allowed")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(middleware::from_fn_with_state(state.clone(), access_log::log))
        .with_state(state)
}
