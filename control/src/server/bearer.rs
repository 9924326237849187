//! The data planes' credential: `Authorization: Bearer …` (RFC 6750), compared in constant time.

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use keyswap_core::base::Digest;
use subtle::ConstantTimeEq as _;

use super::problem::Problem;
use super::state::State;

/// Passes requests with the data planes' credential on. Other requests get status 401 with a challenge.
pub(super) async fn require(Extract(state): Extract<State>, request: Request, next: Next) -> Response {
    let expected = state.registry_token().expose();
    match presented(request.headers()) {
        Some(token) if is_same(token, expected.as_bytes()) => next.run(request).await,
        Some(_) => refuse("Bearer realm=\"keyswap\", error=\"invalid_token\""),
        None => refuse("Bearer realm=\"keyswap\""),
    }
}

/// Returns the Bearer credential of a request, `None` if the request has none or several `Authorization` headers.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let (scheme, token) = line.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Compares the digests in constant time, so that the duration reveals neither content nor length.
fn is_same(presented: &[u8], expected: &[u8]) -> bool {
    let digest = |text| Digest::of(text).to_hex();
    digest(presented).as_bytes().ct_eq(digest(expected).as_bytes()).into()
}

fn refuse(challenge: &'static str) -> Response {
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "the data planes' credential is required: `Authorization: Bearer …`",
    );
    let mut response = problem.into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
