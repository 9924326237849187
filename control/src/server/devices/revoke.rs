//! `POST /oauth/revoke`: a device ends its session (RFC 7009). Any refresh token of the session is enough, and an unknown token gets the
//! same answer.

use axum::extract::State as Extract;
use axum::response::{IntoResponse as _, Response};

use super::answer::{Fields, OAuthError, no_store};
use super::state::DeviceState;

pub(super) async fn revoke(
    Extract(DeviceState { state, .. }): Extract<DeviceState>,
    fields: Fields,
) -> Result<Response, OAuthError> {
    fields.check_client()?;
    state.registry().revoke_refresh_token(&fields.secret("token")?).await?;
    Ok(no_store().into_response())
}
