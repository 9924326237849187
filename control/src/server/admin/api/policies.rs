//! `/admin/api/policies`: signed policies, the data planes that run them, and the keys that may sign. The server has no
//! signing key: policies and changes of the keys are signed where they are made.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::{Actor, PolicyStatus, Progress, RegistryError, Revision, SignerKeys, Signers};
use crate::server::extract::{Json, Segment};
use crate::server::problem::Problem;
use crate::server::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    bundle: String,
    /// The public keys to register with the first revision of a name, a JWK Set.
    keys: Option<Value>,
}

/// The bundle that waits for signatures, with another signature.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    bundle: String,
}

/// A change of the keys, signed by a registered key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignersRequest {
    request: String,
}

pub(super) async fn list(Extract(state): Extract<State>) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"items": state.registry().policies().await?})))
}

pub(super) async fn publish(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Json(New { bundle, keys }): Json<New>,
) -> Result<(StatusCode, Answer<Progress<Revision>>), Problem> {
    let keys = keys.map(SignerKeys::of).transpose()?;
    let published = state.registry().publish(&bundle, keys.as_ref(), &actor).await?;
    Ok((status(&published), Answer(published)))
}

pub(super) async fn proposal(
    Extract(state): Extract<State>,
    Segment(name): Segment,
) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"bundle": state.registry().proposal(&name).await?})))
}

pub(super) async fn sign(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(name): Segment,
    Json(Signature { bundle }): Json<Signature>,
) -> Result<(StatusCode, Answer<Progress<Revision>>), Problem> {
    let signed = state.registry().sign(&name, &bundle, &actor).await?;
    Ok((status(&signed), Answer(signed)))
}

/// Returns 201 for a revision that is in force, 202 for one that waits for signatures.
fn status(progress: &Progress<Revision>) -> StatusCode {
    if progress.is_complete() { StatusCode::CREATED } else { StatusCode::ACCEPTED }
}

pub(super) async fn trust(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(name): Segment,
    Json(SignersRequest { request }): Json<SignersRequest>,
) -> Result<(StatusCode, Answer<Progress<Signers>>), Problem> {
    let changed = state.registry().trust_signed(&name, &request, &actor).await?;
    let status = if changed.is_complete() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Answer(changed)))
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
