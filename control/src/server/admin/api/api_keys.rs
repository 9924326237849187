//! `/admin/api/api-keys`: the keys of programs that use this API. `/admin/api/me`: the sender of a request.

use axum::Json as Answer;
use axum::http::StatusCode;
use keyswap_core::base::UnixTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::{Items, Shown};
use crate::registry::{AdminRole, AdminRoleText, ApiKey, RegistryError, RoleName};
use crate::server::admin::gate::{Permit, op};
use crate::server::digest::DigestSegment;
use crate::server::extract::Json;
use crate::server::problem::Problem;

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// The name, which no other key has
    name: String,
    role: RoleName,
    /// The teams of a `team_owner`
    #[serde(default)]
    teams: Vec<String>,
    /// The person of `self_service`
    email: Option<String>,
    /// The expiry, at most 366 days from now; in 90 days if absent
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A new API key, which only this answer has.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    #[schema(value_type = String)]
    api_key: Shown,
    record: ApiKey,
}

/// The sender of a request.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// The name in the audit log
    name: String,
    #[serde(flatten)]
    #[schema(value_type = AdminRoleText)]
    role: AdminRole,
}

pub(super) async fn list(permit: Permit<op::ListApiKeys>) -> Result<Answer<Items<ApiKey>>, Problem> {
    Ok(Items::of(permit.api_keys().await?))
}

/// Creates an API key. The answer is the only place that has it.
pub(super) async fn create(
    permit: Permit<op::CreateApiKey>,
    Json(New { name, role, teams, email, expires_at }): Json<New>,
) -> Result<(StatusCode, Answer<Created>), Problem> {
    let role = AdminRole::new(role, &teams, email.as_deref())?;
    let read = |text: String| UnixTime::from_rfc3339(&text).ok_or(RegistryError::InvalidExpiry);
    let created = permit.create_api_key(&name, role, expires_at.map(read).transpose()?).await?;
    let created = Created { api_key: Shown(created.key), record: created.record };
    Ok((StatusCode::CREATED, Answer(created)))
}

pub(super) async fn revoke(
    permit: Permit<op::RevokeApiKey>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.revoke_api_key(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers the name and the role of the sender.
pub(super) async fn me(permit: Permit<op::ReadSelf>) -> Result<Answer<Me>, Problem> {
    let person = permit.person();
    Ok(Answer(Me { name: person.name().to_owned(), role: person.role().clone() }))
}
