//! The guard of the pages, which only administrators may see.

use axum::extract::{Request, State as Extract};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::layout::PageError;
use crate::server::admin::who::{who, with_actor};
use crate::server::state::State;

/// Passes requests of administrators on. Other requests are redirected to the sign-in.
pub(super) async fn require_on_page(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    match who(&state, request.headers()).await {
        Ok(Some(actor)) => next.run(with_actor(request, actor)).await,
        Ok(None) => Redirect::to("/admin/sign-in").into_response(),
        Err(problem) => PageError::from(problem).into_response(),
    }
}
