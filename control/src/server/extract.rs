//! Extractors of handlers. An invalid request becomes a [`Problem`] that names the place and does not quote the
//! request.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRef, FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::problem::Problem;
use super::state::State;
use crate::text::object::Object;

/// The time limit for a client to send a body.
pub(super) struct Patience(Duration);

impl FromRef<State> for Patience {
    fn from_ref(state: &State) -> Self {
        Self(state.options().patience)
    }
}

/// A JSON body, which must be an object.
pub(super) struct Json<T>(pub(super) T);

/// A body of an HTML form.
pub(super) struct Form<T>(pub(super) T);

/// The query parameters.
pub(super) struct Parameters<T>(pub(super) T);

/// A segment of the path, or several as texts.
pub(super) struct Segment<T = String>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T>
where
    Patience: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_type(request.headers(), "application/json")?;
        let body = body(request, state).await?;
        // The syntax is checked first, so that a truncated document is not reported as a wrong field.
        serde_json::from_slice::<IgnoredAny>(&body).map_err(|error| malformed(&error))?;
        let reader = &mut serde_json::Deserializer::from_slice(&body);
        let Object(value) = serde_path_to_error::deserialize(reader).map_err(|error| misfit(&error))?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T>
where
    Patience: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_type(request.headers(), "application/x-www-form-urlencoded")?;
        let body = body(request, state).await?;
        serde_urlencoded::from_bytes(&body).map(Self).map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "invalid_request", "a form field is missing or duplicate")
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_parameter",
                "a query parameter is missing, unknown, duplicate or invalid",
            )),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(segment)) => Ok(Self(segment)),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not UTF-8")),
        }
    }
}

fn require_type(headers: &HeaderMap, expected: &'static str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = given.split(';').next().unwrap_or_default().trim();
    given.eq_ignore_ascii_case(expected).then_some(()).ok_or_else(|| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("the body must be `{expected}`"),
        )
    })
}

async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem>
where
    Patience: FromRef<S>,
{
    let Patience(patience) = Patience::from_ref(state);
    let read = tokio::time::timeout(patience, Bytes::from_request(request, state));
    let Ok(read) = read.await else {
        let detail = "the body did not arrive in time";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", detail));
    };
    read.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body could not be read"),
    })
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is not JSON: line {}, column {}", error.line(), error.column());
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
}

/// Returns the problem of a body that does not match its type. The name of an unknown field is not quoted: it is the
/// caller's text, and may be a secret in the wrong place.
fn misfit(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path().to_string();
    let detail = if error.inner().to_string().starts_with("unknown field") {
        "the body has an unknown field".to_owned()
    } else if path == "." {
        "a field of the body is missing, or the body is invalid".to_owned()
    } else {
        format!("`{path}` in the body is invalid")
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail)
}
