//! `/admin/api/policies`: signed policies, and the data planes that run them. The server has no signing key: policies
//! are signed where they are published.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::{Actor, PolicyStatus, RegistryError, Revision};
use crate::server::extract::{Json, Segment};
use crate::server::problem::Problem;
use crate::server::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    bundle: String,
}

pub(super) async fn list(Extract(state): Extract<State>) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"items": state.registry().policies().await?})))
}

pub(super) async fn publish(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Json(New { bundle }): Json<New>,
) -> Result<(StatusCode, Answer<Revision>), Problem> {
    Ok((StatusCode::CREATED, Answer(state.registry().publish(&bundle, &actor).await?)))
}

pub(super) async fn show(
    Extract(state): Extract<State>,
    Segment(name): Segment,
) -> Result<Answer<PolicyStatus>, Problem> {
    Ok(Answer(state.registry().policy(&name).await?))
}

pub(super) async fn bundle(
    Extract(state): Extract<State>,
    Segment((name, revision)): Segment<(String, String)>,
) -> Result<Answer<Value>, Problem> {
    let revision = revision.parse().ok().filter(|revision| *revision > 0);
    let (_, bundle) =
        state.registry().bundle(&name, Some(revision.ok_or(RegistryError::UnknownPolicy)?)).await?;
    Ok(Answer(json!({"bundle": bundle})))
}
