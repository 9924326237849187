//! `/admin/session`: signing in with the password, and signing out.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::registry::SecretText;
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, Permit, Try, attempt, op};
use crate::server::extract::Json;
use crate::server::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    password: String,
}

pub(super) async fn sign_in(
    Extract(state): Extract<AdminState>,
    client: Client,
    headers: HeaderMap,
    Json(credential): Json<Credential>,
) -> Result<Response, Problem> {
    let password = SecretText::new(credential.password);
    Ok(match attempt(&state, &client, &headers, password).await? {
        Try::Right(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        Try::Wrong => {
            Problem::new(StatusCode::UNAUTHORIZED, "wrong_password", "the password is wrong").into_response()
        }
        Try::TooMany(seconds) => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", "too many attempts");
            ([(header::RETRY_AFTER, HeaderValue::from(seconds))], problem).into_response()
        }
    })
}

pub(super) async fn sign_out(
    permit: Permit<op::SignOut>,
    client: Client,
    headers: HeaderMap,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 1]), Problem> {
    let cookie = permit.sign_out(&headers, &client).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]))
}
