//! `/admin/api/api-keys`: the keys of programs that use this API. `/admin/api/me`: the sender of a request.

use axum::Json as Answer;
use axum::http::StatusCode;
use keyswap_core::base::UnixTime;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::{AdminRole, RegistryError, RoleName};
use crate::server::admin::gate::{Permit, op};
use crate::server::digest::DigestSegment;
use crate::server::extract::Json;
use crate::server::problem::Problem;

/// A new API key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    role: RoleName,
    #[serde(default)]
    teams: Vec<String>,
    email: Option<String>,
    expires_at: Option<String>,
}

pub(super) async fn list(permit: Permit<op::ListApiKeys>) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"items": permit.api_keys().await?})))
}

/// Creates an API key. The answer is the only place that has it.
pub(super) async fn create(
    permit: Permit<op::CreateApiKey>,
    Json(New { name, role, teams, email, expires_at }): Json<New>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let role = AdminRole::new(role, &teams, email.as_deref())?;
    let read = |text: String| UnixTime::from_rfc3339(&text).ok_or(RegistryError::InvalidExpiry);
    let created = permit.create_api_key(&name, role, expires_at.map(read).transpose()?).await?;
    let answer = json!({"api_key": created.key.expose(), "record": created.record});
    Ok((StatusCode::CREATED, Answer(answer)))
}

pub(super) async fn revoke(
    permit: Permit<op::RevokeApiKey>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.revoke_api_key(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answers the name and the role of the sender.
pub(super) async fn me(permit: Permit<op::ReadSelf>) -> Answer<Value> {
    let person = permit.person();
    let mut answer = json!(person.role());
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("name".to_owned(), json!(person.name()));
    }
    Answer(answer)
}
