//! One log line for each request: method, route, status, duration. The route is the matched pattern instead of the
//! path: a path may hold a token that a caller put there by mistake. Errors of the database are counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;

use super::problem::DatabaseFailed;
use super::state::State;

pub(super) async fn log(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = name(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    tracing::trace!(method, route, "request begins");
    let response = next.run(request).await;
    if response.extensions().get::<DatabaseFailed>().is_some() {
        state.counters().database_errors.add(1);
    }
    tracing::debug!(
        method,
        route,
        status = response.status().as_u16(),
        microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

/// Returns the name of a standard method, `other` for any other: its name is the caller's text.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
