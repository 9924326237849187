//! `POST /oauth/token`: the session of a device that a person has approved (RFC 8628 section 3.4), and its next JWT (RFC 6749
//! section 6).

use axum::Json;
use axum::extract::State as Extract;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::answer::{Fields, OAuthError, no_store};
use super::metadata::DEVICE_CODE;
use super::state::DeviceState;
use crate::registry::{Issued, Poll, now};
use crate::server::session_issuer::SessionIssuer;

pub(super) async fn token(
    Extract(DeviceState { state, issuer }): Extract<DeviceState>,
    fields: Fields,
) -> Result<Response, OAuthError> {
    fields.check_client()?;
    let registry = state.registry();
    match fields.required("grant_type")? {
        DEVICE_CODE => match registry.poll_device(&fields.secret("device_code")?).await? {
            Poll::Begun(issued) => answer(&issuer, &issued),
            Poll::Pending => Err(OAuthError::new("authorization_pending")),
            Poll::SlowDown => Err(OAuthError::new("slow_down")),
            Poll::Denied => Err(OAuthError::new("access_denied")),
            Poll::Expired => Err(OAuthError::new("expired_token")),
            Poll::Unknown => Err(OAuthError::new("invalid_grant")),
        },
        "refresh_token" => {
            let issued = registry.refresh_session(&fields.secret("refresh_token")?).await?;
            answer(&issuer, &issued.ok_or(OAuthError::new("invalid_grant"))?)
        }
        _ => Err(OAuthError::new("unsupported_grant_type")),
    }
}

fn answer(issuer: &SessionIssuer, begun: &Issued) -> Result<Response, OAuthError> {
    let (jwt, seconds) = issuer.jwt(begun, now()).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "a session JWT cannot be signed");
        OAuthError::new("server_error")
    })?;
    let answer = json!({
        "access_token": jwt.expose(),
        "token_type": "Bearer",
        "expires_in": seconds,
        "refresh_token": begun.refresh_token.expose(),
    });
    Ok((no_store(), Json(answer)).into_response())
}
