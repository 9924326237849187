//! `/admin/api/policies`: signed policies, the data planes that run them, and the keys that may sign. The server has no
//! signing key: policies and changes of the keys are signed where they are made.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answers::Items;
use crate::registry::{PolicyStatus, Progress, RegistryError, Revision, SignerKeys, Signers};
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::{Json, Segment};
use crate::server::problem::Problem;

/// A signed policy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    bundle: String,
    /// The public keys to register with the first revision of a name, a JWK Set.
    #[schema(value_type = Option<Object>)]
    keys: Option<Value>,
}

/// The bundle that waits for signatures, with another signature.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    bundle: String,
}

/// A change of the keys, signed by a registered key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignersRequest {
    request: String,
}

/// A signed policy, or one that waits for signatures.
#[derive(Serialize, ToSchema)]
pub(super) struct Bundle {
    bundle: String,
}

pub(super) async fn list(permit: Permit<op::ListPolicies>) -> Result<Answer<Items<Revision>>, Problem> {
    Ok(Items::of(permit.policies().await?))
}

pub(super) async fn publish(
    permit: Permit<op::PublishPolicy>,
    Json(New { bundle, keys }): Json<New>,
) -> Result<(StatusCode, Answer<Progress<Revision>>), Problem> {
    let keys = keys.map(SignerKeys::of).transpose()?;
    let published = permit.publish(&bundle, keys.as_ref()).await?;
    Ok((status(&published), Answer(published)))
}

pub(super) async fn proposal(
    permit: Permit<op::ShowPolicy>,
    Segment(name): Segment,
) -> Result<Answer<Bundle>, Problem> {
    Ok(Answer(Bundle { bundle: permit.proposal(&name).await? }))
}

pub(super) async fn sign(
    permit: Permit<op::PublishPolicy>,
    Segment(name): Segment,
    Json(Signature { bundle }): Json<Signature>,
) -> Result<(StatusCode, Answer<Progress<Revision>>), Problem> {
    let signed = permit.sign(&name, &bundle).await?;
    Ok((status(&signed), Answer(signed)))
}

/// Returns 201 for a revision that is in force, 202 for one that waits for signatures.
fn status(progress: &Progress<Revision>) -> StatusCode {
    if progress.is_complete() { StatusCode::CREATED } else { StatusCode::ACCEPTED }
}

pub(super) async fn trust(
    permit: Permit<op::TrustSigners>,
    Segment(name): Segment,
    Json(SignersRequest { request }): Json<SignersRequest>,
) -> Result<(StatusCode, Answer<Progress<Signers>>), Problem> {
    let changed = permit.trust_signed(&name, &request).await?;
    let status = if changed.is_complete() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Answer(changed)))
}

pub(super) async fn show(
    permit: Permit<op::ShowPolicy>,
    Segment(name): Segment,
) -> Result<Answer<PolicyStatus>, Problem> {
    Ok(Answer(permit.policy(&name).await?))
}

pub(super) async fn bundle(
    permit: Permit<op::ShowPolicy>,
    Segment((name, revision)): Segment<(String, String)>,
) -> Result<Answer<Bundle>, Problem> {
    let revision = revision.parse().ok().filter(|revision| *revision > 0);
    let (_, bundle) = permit.bundle(&name, Some(revision.ok_or(RegistryError::UnknownPolicy)?)).await?;
    Ok(Answer(Bundle { bundle }))
}
