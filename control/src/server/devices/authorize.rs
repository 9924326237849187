//! `POST /oauth/device_authorization`: a device asks to be signed in (RFC 8628 section 3.1).
//!
//! The number of devices of one client address is bounded, as tries of passwords are.

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::answer::{Fields, OAuthError, no_store};
use super::state::DeviceState;
use crate::registry::{DEVICE_SECONDS, POLL_SECONDS};
use crate::server::admin::client::Client;

pub(super) async fn authorize(
    Extract(DeviceState { state, issuer }): Extract<DeviceState>,
    client: Client,
    fields: Fields,
) -> Result<Response, OAuthError> {
    fields.check_client()?;
    let (registry, address) = (state.registry(), client.name());
    if let Some(seconds) = registry.count_try(&format!("device {address}")).await? {
        return Err(OAuthError::too_many(seconds));
    }
    let codes = registry.begin_device(fields.optional("device_name").unwrap_or_default(), &address).await?;
    let answer = json!({
        "device_code": codes.device_code.expose(),
        "user_code": codes.user_code,
        "verification_uri": format!("{}/device", issuer.url()),
        "expires_in": DEVICE_SECONDS,
        "interval": POLL_SECONDS,
    });
    Ok((no_store(), Json(answer)).into_response())
}
