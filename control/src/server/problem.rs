//! Errors as problem details (RFC 9457), each with a stable `code`.
//!
//! A problem never quotes the request, and has no details of an internal error.

use std::borrow::Cow;
use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::registry::{Kind, RegistryError};

/// An error of a request.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
}

/// The mark of a response that an error of the database prevented.
#[derive(Clone, Copy)]
pub(super) struct DatabaseFailed;

/// The code of an error of the database.
const DATABASE_UNAVAILABLE: &str = "database_unavailable";

/// The challenge of a response with status 401, which HTTP requires (RFC 9110, section 15.5.2), unless a handler sets
/// another.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Cookie realm=\"keyswap\"");

/// The seconds after which a client may retry, in a response with status 503.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

impl Problem {
    /// Returns a problem with its stable code and a sentence for the user.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the sentence for the user.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let status = match error.kind() {
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Unknown => StatusCode::NOT_FOUND,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Unavailable => {
                tracing::error!(%error, "the registry cannot answer");
                let detail = "the registry cannot answer now";
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), detail);
            }
        };
        Self::new(status, error.code(), error.to_string())
    }
}

/// The body of an error: problem details (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ProblemBody<'a> {
    /// The type, always `about:blank`: the title is the name of the status
    r#type: &'static str,
    /// The name of the HTTP status
    title: &'static str,
    /// The HTTP status
    status: u16,
    /// The stable code of the problem
    code: &'static str,
    /// A sentence for the user
    detail: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        if self.code == DATABASE_UNAVAILABLE {
            response.extensions_mut().insert(DatabaseFailed);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}
