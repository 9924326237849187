//! The routes of the administration, and the security headers of all answers.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::post;

use super::{api, dashboard, origin, sign_in, who};
use crate::server::state::State;

/// The Content-Security-Policy: pages load from, and send forms to, this origin only, and cannot be framed.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(in crate::server) fn router(state: &State) -> Router<State> {
    let signed_in = Router::new()
        .nest("/admin/api", api::router::router())
        .route("/admin/session", axum::routing::delete(sign_in::sign_out))
        .route_layer(middleware::from_fn_with_state(state.clone(), who::require));
    Router::new()
        .merge(signed_in)
        .merge(dashboard::router::router(state))
        .route("/admin/session", post(sign_in::sign_in))
        .route_layer(middleware::from_fn(origin::require_own))
        .route_layer(middleware::map_response(protect))
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
