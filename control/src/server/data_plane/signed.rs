//! Answers to lookups as signed records (RFC 7515): the subject that was asked for, the record or `null`, and a short time
//! in which the answer counts.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use keyswap_core::services::RECORD_TYPE;
use serde_json::{Value, json};

use crate::registry::{Kind, RegistryError, now};
use crate::server::problem::Problem;
use crate::server::state::State;
use crate::signing::SigningKey;

/// The time from the issue of an answer to its expiry: long enough for a slow call, too short to be of use later.
const RECORD_SECONDS: i64 = 15;

const JOSE: &str = "application/jose";

/// The signer of an answer.
pub(super) struct Signer<'s>(&'s SigningKey);

impl<'s> Signer<'s> {
    /// Returns the signer, `None` if the client does not ask for a signature or the registry has no key for it.
    pub(super) fn for_request(state: &'s State, headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
        let mut types = accepted.flat_map(|line| line.split(','));
        let is_asked = types
            .any(|accepted| accepted.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JOSE));
        state.records_key().filter(|_| is_asked).map(Self)
    }

    /// Returns the signed answer about a subject. An unknown one has the record `null` and status 404.
    pub(super) fn answer(
        &self,
        subject: &str,
        found: Result<Value, RegistryError>,
    ) -> Result<Response, Problem> {
        let (status, record) = match found {
            Ok(record) => (StatusCode::OK, record),
            Err(error) if error.kind() == Kind::Unknown => (StatusCode::NOT_FOUND, Value::Null),
            Err(error) => return Err(Problem::from(error)),
        };
        let now = now().0;
        let payload =
            json!({"sub": subject, "iat": now, "exp": now.saturating_add(RECORD_SECONDS), "record": record});
        let text = self.0.sign(RECORD_TYPE, &payload).map_err(|_| {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_randomness", "the record cannot be signed")
        })?;
        let mut response = (status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JOSE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
