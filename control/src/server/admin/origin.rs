//! Protection against cross-site requests: unsafe methods are accepted from the dashboard's pages and from programs.
//!
//! Browsers send a request's origin in `Sec-Fetch-Site`, older ones in `Origin`; pages cannot set either. Programs send
//! `x-keyswap-client`, with any value: a page of another site can send a custom header only after a CORS preflight,
//! which is never granted. So it is with an API key. A request without these headers is refused.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::client::host;
use crate::server::bearer;
use crate::server::problem::Problem;

/// The header that programs send.
pub(crate) const CLIENT: &str = "x-keyswap-client";

pub(super) async fn require_own(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_own(request.headers()) {
        return next.run(request).await;
    }
    let detail = "the request comes from another site's page, or has no origin: programs must send the header \
                  `x-keyswap-client`";
    Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail).into_response()
}

fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return headers.contains_key(CLIENT) || bearer::presented(headers).is_some();
    };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    authority.is_some_and(|authority| !authority.is_empty() && authority.eq_ignore_ascii_case(host(headers)))
}
