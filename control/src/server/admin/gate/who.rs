//! The sender of a request: the person or program that an API key, a JWT of Cloudflare Access or a session names.
//!
//! A request with an API key is judged by the key alone, and one with a JWT of Access by the JWT alone: neither is helped by a
//! session. An unknown key counts as a failed try of its client, apart from tries with the password. A known one works all the
//! same: it cannot be guessed, and others must not be able to shut it out.

use axum::http::{HeaderMap, StatusCode};
use keyswap_core::base::Digest;

use super::person::{Means, Person};
use super::session;
use super::state::AdminState;
use crate::registry::{API_KEY, Actor, AdminRole};
use crate::server::admin::client::Client;
use crate::server::bearer;
use crate::server::problem::Problem;

/// Returns the administrator that a JWT of Cloudflare Access names, `None` without a JWT or if Access is not
/// configured.
pub(super) async fn by_access(state: &AdminState, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
    match &state.options().access {
        Some(access) => access.actor(headers).await,
        None => Ok(None),
    }
}

/// Returns the sender of a request, `None` if the request is not signed in.
pub(super) async fn who(
    state: &AdminState,
    headers: &HeaderMap,
    client: &Client,
    takes_keys: bool,
) -> Result<Option<Person>, Problem> {
    let key = bearer::presented(headers).filter(|text| text.starts_with(API_KEY.as_bytes()));
    if let Some(key) = key.filter(|_| takes_keys) {
        return by_key(state, &Digest::of(key), client).await.map(Some);
    }
    if let Some(actor) = by_access(state, headers).await? {
        return Ok(Some(Person::new(actor.to_string(), AdminRole::Admin, Means::Access)));
    }
    Ok(session::person(state, headers).await?)
}

async fn by_key(state: &AdminState, digest: &Digest, client: &Client) -> Result<Person, Problem> {
    let registry = state.registry();
    if let Some(key) = registry.valid_api_key(digest).await? {
        return Ok(Person::new(format!("api-key:{}", key.name), key.role, Means::Key));
    }
    let name = client.name();
    if registry.count_try(&format!("api-key {name}")).await?.is_some() {
        let detail = "too many unknown API keys from this address";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", detail));
    }
    registry.note(&Actor::unknown(), "api_key.refused", &name).await?;
    let detail = "the API key is unknown, expired or revoked";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "invalid_api_key", detail))
}
