//! The routes of the administration, and the security headers of all answers.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware;
use axum::response::Response;

use super::gate::{AdminState, Row};
use super::{api, dashboard, origin};
use crate::server::state::State;

/// The Content-Security-Policy: pages load from, and send forms to, this origin only, and cannot be framed.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(in crate::server) fn router(state: &State) -> Router<State> {
    let state = AdminState::new(state.clone());
    Router::new()
        .merge(api::router::routes().into_routes().into_router())
        .merge(api::router::open())
        .merge(dashboard::router::router(&state))
        .route_layer(middleware::from_fn(origin::require_own))
        .route_layer(middleware::map_response(protect))
        .with_state(state)
}

/// A route of the administration for signed-in people and programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRoute {
    /// The method.
    pub method: Method,
    /// The pattern of the path.
    pub path: &'static str,
    /// The operation in words.
    pub operation: &'static str,
}

/// Returns the routes for signed-in people and programs: of the API, then of the dashboard.
pub fn admin_routes() -> Vec<AdminRoute> {
    let api = api::router::routes().into_routes();
    let rows = api.into_rows().into_iter().chain(dashboard::router::routes().into_rows());
    rows.map(|Row { method, path, operation }| AdminRoute { method, path, operation: operation.words() })
        .collect()
}

async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
