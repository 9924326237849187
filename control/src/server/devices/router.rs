//! The routes of the authorization server. There are none unless the server has a key for sessions.

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};

use super::authorize::authorize;
use super::metadata::{keys, metadata};
use super::revoke::revoke;
use super::state::DeviceState;
use super::token::token;
use crate::server::state::State;

/// The page on which a person decides about a device.
const PAGE: &str = "/admin/sessions";

/// Returns the routes for devices, and for the people that sign them in.
pub(in crate::server) fn router(state: &State) -> Router<State> {
    let Some(state) = DeviceState::of(state) else { return Router::new() };
    Router::new()
        .route("/oauth/device_authorization", post(authorize))
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revoke))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        // A short address to type. The page is under the path of the cookie.
        .route("/device", get(async || Redirect::to(PAGE)))
        .with_state(state)
}

/// Returns the route of the public keys, for data planes.
pub(in crate::server) fn key_router(state: &State) -> Router<State> {
    let Some(state) = DeviceState::of(state) else { return Router::new() };
    Router::new().route("/oauth/jwks", get(keys)).with_state(state)
}
