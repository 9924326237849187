//! The metadata of the authorization server (RFC 8414), and its public keys (RFC 7517).

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::state::DeviceState;

/// The grant of a device (RFC 8628 section 3.4).
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The time for which the answers may be cached. A new key is published before it signs.
const CACHED: &str = "public, max-age=300";

pub(super) async fn metadata(Extract(DeviceState { issuer, .. }): Extract<DeviceState>) -> Response {
    let at = |path: &str| format!("{}{path}", issuer.url());
    answer(&json!({
        "issuer": issuer.url(),
        "device_authorization_endpoint": at("/oauth/device_authorization"),
        "token_endpoint": at("/oauth/token"),
        "revocation_endpoint": at("/oauth/revoke"),
        "jwks_uri": at("/oauth/jwks"),
        "grant_types_supported": [DEVICE_CODE, "refresh_token"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
    }))
}

pub(super) async fn keys(Extract(DeviceState { issuer, .. }): Extract<DeviceState>) -> Response {
    answer(&issuer.key_set())
}

fn answer(document: &Value) -> Response {
    ([(header::CACHE_CONTROL, CACHED)], Json(document)).into_response()
}
