//! `POST /introspect`: token introspection (RFC 7662), for consumers other than data planes.
//!
//! The answer for an unknown, disabled or expired token is the same: `active` is false, without other members.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyswap_core::base::Digest;
use serde::{Deserialize, Serialize};

use super::refused::{BodyRefused, Refused};
use crate::registry::{RegistryError, SecretText, Token};
use crate::server::extract::Form;
use crate::server::problem::Problem;
use crate::server::state::State;

/// A request for introspection. Unknown parameters and `token_type_hint` are ignored (RFC 7662, section 2.1).
#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct Question {
    /// The token to introspect
    token: String,
}

/// Introspect a token (RFC 7662)
#[utoipa::path(
    post,
    path = "/introspect",
    tag = "introspection",
    request_body(content = Question, content_type = "application/x-www-form-urlencoded"),
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The state of the token", body = Introspection),
        Refused,
        BodyRefused,
    )
)]
pub(super) async fn introspect(
    Extract(state): Extract<State>,
    Form(question): Form<Question>,
) -> Result<Response, Problem> {
    let token = SecretText::new(question.token);
    let digest = Digest::of(token.expose().as_bytes());
    let answer = match state.registry().token(&digest).await {
        Ok(token) if token.is_active_now() => Introspection::of(&token),
        Ok(_) | Err(RegistryError::UnknownToken) => Introspection::default(),
        Err(error) => return Err(error.into()),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The state of a token: members of RFC 7662, section 2.2, with `label`, `providers` and `models`. If `active` is
/// false, the other members are absent.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Introspection {
    /// Set if requests with the token are accepted
    active: bool,
    /// The type of the token: `Bearer`
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The id of the token: the first 16 digits of its SHA-256
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The email address of the owner
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// The time of creation, in seconds since 1970
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// The expiry, in seconds since 1970
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// The label of the token
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The scope: names of providers, and classes of their endpoints such as `openai:files`
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    /// The models that the token may use; `*` permits all
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    /// The certificate that the token is bound to (RFC 8705, section 3.2): over other connections it is not valid
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
}

/// The confirmation of a bound token.
#[derive(Serialize, utoipa::ToSchema)]
struct Confirmation {
    /// The SHA-256 of the client certificate, in base64url without padding
    #[serde(rename = "x5t#S256")]
    certificate: String,
}

impl Introspection {
    fn of(token: &Token) -> Self {
        Self {
            active: true,
            token_type: Some("Bearer"),
            sub: Some(token.id()),
            username: token.owner.clone(),
            iat: Some(token.created_at.0),
            exp: token.expires_at().map(|at| at.0),
            label: Some(token.label.clone()),
            providers: Some(token.providers.clone()),
            models: Some(token.models.clone()),
            cnf: token
                .certificate
                .map(|digest| Confirmation { certificate: BASE64_URL_SAFE_NO_PAD.encode(digest.bytes()) }),
        }
    }
}
