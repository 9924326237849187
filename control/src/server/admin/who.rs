//! The administrator of a request: one that Cloudflare Access vouches for, or the one of a session.
//!
//! A request with a JWT of Access is judged by that, and has no other way in. Handlers find the [`Actor`] among the
//! extensions of the request.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::administrator::by_password;
use super::session;
use crate::registry::Actor;
use crate::server::problem::Problem;
use crate::server::state::State;

/// Lets only administrators through; others get a problem.
pub(super) async fn require(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    match who(&state, request.headers()).await {
        Ok(Some(actor)) => next.run(with_actor(request, actor)).await,
        Ok(None) => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first").into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Returns the administrator that a JWT of Cloudflare Access names, where such are accepted and there is one.
pub(super) async fn by_access(state: &State, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
    match &state.options().access {
        Some(access) => access.actor(headers).await,
        None => Ok(None),
    }
}

/// Returns the administrator that a request is from, if there is one.
pub(super) async fn who(state: &State, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
    if let Some(actor) = by_access(state, headers).await? {
        return Ok(Some(actor));
    }
    Ok(session::is_open(state.registry(), headers).await?.then(by_password))
}

/// Returns the request with its actor, for handlers.
pub(super) fn with_actor(mut request: Request, actor: Actor) -> Request {
    request.extensions_mut().insert(actor);
    request
}
