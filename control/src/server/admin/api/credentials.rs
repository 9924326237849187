//! `/admin/api/credentials`: the credentials of data planes and of introspection clients.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::Role;
use crate::server::admin::gate::{Permit, op};
use crate::server::digest::DigestSegment;
use crate::server::extract::Json;
use crate::server::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    role: Role,
}

pub(super) async fn list(permit: Permit<op::ListCredentials>) -> Result<Answer<Value>, Problem> {
    Ok(Answer(json!({"items": permit.credentials().await?})))
}

/// Creates a credential. The answer is the only place that has it.
pub(super) async fn create(
    permit: Permit<op::CreateCredential>,
    Json(New { name, role }): Json<New>,
) -> Result<(StatusCode, Answer<Value>), Problem> {
    let created = permit.create_credential(&name, role).await?;
    let answer = json!({"credential": created.credential.expose(), "record": created.record});
    Ok((StatusCode::CREATED, Answer(answer)))
}

pub(super) async fn revoke(
    permit: Permit<op::RevokeCredential>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.revoke_credential(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
