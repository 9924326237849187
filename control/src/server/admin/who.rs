//! The administrator of a request, from a Cloudflare Access JWT or from a session.
//!
//! A request with a JWT of Access is judged by the JWT alone. Handlers read the [`Actor`] from the request's
//! extensions.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::administrator::by_password;
use super::session;
use crate::registry::Actor;
use crate::server::problem::Problem;
use crate::server::state::State;

/// Passes requests of administrators on. Other requests are answered with a problem.
pub(super) async fn require(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    match who(&state, request.headers()).await {
        Ok(Some(actor)) => next.run(with_actor(request, actor)).await,
        Ok(None) => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "sign in first").into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Returns the administrator that a JWT of Cloudflare Access names, `None` without a JWT or if Access is not
/// configured.
pub(super) async fn by_access(state: &State, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
    match &state.options().access {
        Some(access) => access.actor(headers).await,
        None => Ok(None),
    }
}

/// Returns the administrator of a request, `None` if the request is not signed in.
pub(super) async fn who(state: &State, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
    if let Some(actor) = by_access(state, headers).await? {
        return Ok(Some(actor));
    }
    Ok(session::is_open(state.registry(), headers).await?.then(by_password))
}

/// Adds the actor to the request's extensions.
pub(super) fn with_actor(mut request: Request, actor: Actor) -> Request {
    request.extensions_mut().insert(actor);
    request
}
