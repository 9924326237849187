//! Signing in and out: 10 attempts a minute from one address, each in the audit log. A failed attempt has no known
//! author, unless Cloudflare Access names one.
//!
//! Attempts are counted in the database before the password is checked, so that neither many connections nor many
//! replicas permit more. The right password resets the count.

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::administrator::by_password;
use super::client::Client;
use super::{password, session, who};
use crate::registry::{Actor, Registry, RegistryError, SecretText};
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credential {
    password: String,
}

/// The result of a sign-in attempt.
pub(super) enum Try {
    /// The password is right. The value is the `Set-Cookie` of the session.
    Right(HeaderValue),
    /// The password is wrong.
    Wrong,
    /// Too many attempts. The value is the number of seconds to wait.
    TooMany(u32),
}

pub(super) async fn sign_in(
    Extract(state): Extract<State>,
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
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let cookie = leave(state.registry(), &actor, &client, &headers).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Attempts to sign in with a password. A request with a refused Cloudflare Access JWT is refused here too.
pub(super) async fn attempt(
    state: &State,
    client: &Client,
    headers: &HeaderMap,
    password: SecretText,
) -> Result<Try, Problem> {
    // A wrong password tells nothing about its author, so it must not look like the administrator's own mistake.
    let author = who::by_access(state, headers).await?.unwrap_or_else(Actor::unknown);
    let registry = state.registry();
    let name = client.name();
    if let Some(seconds) = registry.count_try(&name).await? {
        return Ok(Try::TooMany(seconds));
    }
    let hash = registry.password_hash().await?;
    if !password::is_right(password, hash).await? {
        registry.note(&author, "admin.sign_in_failed", &name).await?;
        return Ok(Try::Wrong);
    }
    registry.forget_tries(&name).await?;
    let cookie = session::begin(registry, client).await?;
    registry.note(&by_password(), "admin.sign_in", &name).await?;
    Ok(Try::Right(cookie))
}

/// Ends the session of a request, and returns the `Set-Cookie` that removes the cookie.
pub(super) async fn leave(
    registry: &Registry,
    actor: &Actor,
    client: &Client,
    headers: &HeaderMap,
) -> Result<HeaderValue, RegistryError> {
    let cookie = session::end(registry, headers, client).await?;
    registry.note(actor, "admin.sign_out", &client.name()).await?;
    Ok(cookie)
}
