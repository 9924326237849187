//! The forms of clients, and the errors that they get (RFC 6749 section 5.2).

use axum::Json;
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::registry::{Kind, RegistryError, SecretText};
use crate::server::extract::{Form, Patience};
use crate::server::session_issuer::CLIENT_ID;

/// The most parameters of a request. Those that are not known are ignored.
const MAX_FIELDS: usize = 16;

/// An error of an endpoint, by its code.
pub(super) struct OAuthError {
    status: StatusCode,
    code: &'static str,
    retry_after: Option<u32>,
}

/// The parameters of a request, each there once at most (RFC 6749 section 3.2).
pub(super) struct Fields(Vec<(String, String)>);

impl OAuthError {
    pub(super) const fn new(code: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, retry_after: None }
    }

    /// Returns the error of a client that asks too often.
    pub(super) const fn too_many(seconds: u32) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { status, code: "temporarily_unavailable", retry_after: Some(seconds) }
    }
}

impl From<RegistryError> for OAuthError {
    fn from(error: RegistryError) -> Self {
        match error.kind() {
            Kind::Unavailable => {
                tracing::error!(%error, "the registry cannot answer");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Self { status, code: "temporarily_unavailable", retry_after: Some(1) }
            }
            _ => Self::new("invalid_request"),
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let mut response = (self.status, no_store(), Json(json!({"error": self.code}))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Returns the header of answers that nothing may keep (RFC 6749 section 5.1).
pub(super) fn no_store() -> [(header::HeaderName, &'static str); 1] {
    [(header::CACHE_CONTROL, "no-store")]
}

impl<S: Send + Sync> FromRequest<S> for Fields
where
    Patience: FromRef<S>,
{
    type Rejection = OAuthError;

    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let invalid = OAuthError::new("invalid_request");
        let Ok(Form(fields)) = Form::<Vec<(String, String)>>::from_request(request, state).await else {
            return Err(invalid);
        };
        let is_repeated = |(index, (name, _)): (usize, &(String, String))| {
            fields.iter().skip(index + 1).any(|(other, _)| other == name)
        };
        if fields.len() > MAX_FIELDS || fields.iter().enumerate().any(is_repeated) {
            Err(invalid)
        } else {
            Ok(Self(fields))
        }
    }
}

impl Fields {
    /// Returns a parameter, an error if it is absent or empty.
    pub(super) fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.optional(name).ok_or(OAuthError::new("invalid_request"))
    }

    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// Returns a parameter that is a secret.
    pub(super) fn secret(&self, name: &str) -> Result<SecretText, OAuthError> {
        self.required(name).map(|value| SecretText::new(value.to_owned()))
    }

    /// Checks that the client is the one that the registry knows.
    pub(super) fn check_client(&self) -> Result<(), OAuthError> {
        let is_known = self.required("client_id")? == CLIENT_ID;
        is_known.then_some(()).ok_or(OAuthError::new("invalid_client"))
    }
}
