//! `/admin/api/credentials`: the credentials of data planes and of introspection clients.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Items, Shown};
use crate::registry::{Credential, Role};
use crate::server::admin::gate::{Permit, op};
use crate::server::digest::DigestSegment;
use crate::server::extract::Json;
use crate::server::problem::Problem;

/// A new credential.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// The name, which at most one other credential has
    name: String,
    role: Role,
}

/// A new credential, which only this answer has.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    #[schema(value_type = String)]
    credential: Shown,
    record: Credential,
}

pub(super) async fn list(permit: Permit<op::ListCredentials>) -> Result<Answer<Items<Credential>>, Problem> {
    Ok(Items::of(permit.credentials().await?))
}

/// Creates a credential. The answer is the only place that has it.
pub(super) async fn create(
    permit: Permit<op::CreateCredential>,
    Json(New { name, role }): Json<New>,
) -> Result<(StatusCode, Answer<Created>), Problem> {
    let created = permit.create_credential(&name, role).await?;
    let created = Created { credential: Shown(created.credential), record: created.record };
    Ok((StatusCode::CREATED, Answer(created)))
}

pub(super) async fn revoke(
    permit: Permit<op::RevokeCredential>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.revoke_credential(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
