//! The administration: signing in, the API under `/admin/api/`, the dashboard under `/admin`.
//!
//! Everything but the sign-in needs an administrator, and nothing is done for another site's page.

pub(crate) mod access;
mod api;
mod client;
mod dashboard;
pub(crate) mod origin;
pub(super) mod password;
mod session;
mod sign_in;
mod who;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::post;

use super::State;
use crate::registry::Actor;

/// The name of whoever signs in with the password, in the audit log.
const ADMIN: &str = "admin";

/// Nothing is loaded, framed, or sent to elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(super) fn router(state: &State) -> Router<State> {
    let signed_in = Router::new()
        .nest("/admin/api", api::router())
        .route("/admin/session", axum::routing::delete(sign_in::sign_out))
        .route_layer(middleware::from_fn_with_state(state.clone(), who::require));
    Router::new()
        .merge(signed_in)
        .merge(dashboard::router(state))
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

fn by_password() -> Actor {
    Actor::new(ADMIN)
}
