//! `POST /introspect`: token introspection (RFC 7662), for consumers that are not data planes of ours.
//!
//! Of a token that may not be used it says nothing but that: whether it is unknown, disabled or expired is not told.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use keyswap_core::TokenDigest;
use serde::{Deserialize, Serialize};

use crate::registry::{RegistryError, SecretText, Token};
use crate::serve::State;
use crate::serve::extract::Form;
use crate::serve::problem::Problem;

/// Parameters that are not known, `token_type_hint` among them, are ignored, as the RFC has it.
#[derive(Deserialize)]
pub(super) struct Question {
    token: String,
}

pub(super) async fn introspect(
    Extract(state): Extract<State>,
    Form(question): Form<Question>,
) -> Result<Response, Problem> {
    let token = SecretText::new(question.token);
    let digest = TokenDigest::of(token.expose().as_bytes());
    let answer = match state.registry().token(&digest).await {
        Ok(token) if token.is_active_now() => Answer::of(&token),
        Ok(_) | Err(RegistryError::UnknownToken) => Answer::default(),
        Err(error) => return Err(error.into()),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The members of RFC 7662, section 2.2, and three of our own. Only `active` is there if it is false.
#[derive(Default, Serialize)]
struct Answer {
    active: bool,
    #[serde(flatten)]
    about: Option<About>,
}

#[derive(Serialize)]
struct About {
    token_type: &'static str,
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    label: String,
    providers: Vec<String>,
    models: Vec<String>,
}

impl Answer {
    fn of(token: &Token) -> Self {
        let about = About {
            token_type: "Bearer",
            sub: token.id(),
            username: token.owner.clone(),
            iat: token.created_at.0,
            exp: token.expires_at().map(|at| at.0),
            label: token.label.clone(),
            providers: token.providers.clone(),
            models: token.models.clone(),
        };
        Self { active: true, about: Some(about) }
    }
}
