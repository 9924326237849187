//! `/admin/api/credentials`: the credentials of data planes and of introspection clients.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::{Actor, Role};
use crate::server::digest::DigestSegment;
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    role: Role,
}

pub(super) async fn list(Extract(state): Extract<State>) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"items": state.registry().credentials().await?})))
}

/// Creates a credential. The answer is the only place that has it.
pub(super) async fn create(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Json(New { name, role }): Json<New>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let created = state.registry().create_credential(&name, role, &actor).await?;
    let answer = json!({"credential": created.credential.expose(), "record": created.record});
    Ok((StatusCode::CREATED, Answer(answer)))
}

pub(super) async fn revoke(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    state.registry().revoke_credential(&digest, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
