//! `POST /introspect`: token introspection (RFC 7662), for consumers that are not data planes of ours.
//!
//! Of a token that may not be used it says nothing but that: whether it is unknown, disabled or expired is not told.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use keyswap_core::base::Digest;
use serde::{Deserialize, Serialize};

use super::refused::{BodyRefused, Refused};
use crate::registry::{RegistryError, SecretText, Token};
use crate::server::extract::Form;
use crate::server::problem::Problem;
use crate::server::state::State;

/// Parameters that are not known, `token_type_hint` among them, are ignored, as the RFC has it.
#[derive(Deserialize, utoipa::ToSchema)]
pub(super) struct Question {
    /// The token
    token: String,
}

/// Whether a token may be used (RFC 7662)
#[utoipa::path(
    post,
    path = "/introspect",
    tag = "introspection",
    request_body(content = Question, content_type = "application/x-www-form-urlencoded"),
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "Whether it may", body = Introspection),
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

/// The members of RFC 7662, section 2.2, and three of our own. Only `active` is there if it is false.
#[derive(Default, Serialize, utoipa::ToSchema)]
struct Introspection {
    /// Whether the token may be used
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    providers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
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
        }
    }
}
