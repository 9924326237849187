//! Requests that change something come from our own pages, or from no page at all.
//!
//! Browsers say from where a request comes in `Sec-Fetch-Site`, and older ones in `Origin`; pages cannot write
//! either. What sends neither is no browser, and has no cookie that somebody else could make use of.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::client::host;
use crate::serve::problem::Problem;

pub(super) async fn require_own(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_own(request.headers()) {
        return next.run(request).await;
    }
    let detail = "this request comes from another site's page";
    Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail).into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    authority.is_some_and(|authority| !authority.is_empty() && authority.eq_ignore_ascii_case(host(headers)))
}
