//! One log line a request: method, route, status, time. The route is the pattern that matched, not the path: a path
//! is what a caller sent, and may hold a token that was put there by mistake.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;

pub(super) async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    tracing::debug!(
        // A method that is none of HTTP's is a caller's own word.
        method = if method.is_safe() || method.is_idempotent() || method == "POST" || method == "PATCH" {
            method.as_str()
        } else {
            "other"
        },
        route = route.as_ref().map_or("none", MatchedPath::as_str),
        status = response.status().as_u16(),
        microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    response
}
