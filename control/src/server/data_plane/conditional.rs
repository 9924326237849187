//! Conditional answers (RFC 9110, section 13.1.2). The `ETag` is a version.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Returns true if `If-None-Match` lists this version.
pub(super) fn has_version(headers: &HeaderMap, version: i64) -> bool {
    let etag = tag(version);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .any(|told| told == "*" || told.strip_prefix("W/").unwrap_or(told) == etag)
}

/// Returns the answer with its `ETag`, or status 304 if the client has this version.
pub(super) fn conditional(headers: &HeaderMap, version: i64, answer: impl IntoResponse) -> Response {
    let mut response = if has_version(headers, version) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer.into_response()
    };
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(tag(version)) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn tag(version: i64) -> String {
    format!("\"{version}\"")
}
