//! `/admin/api/users`: the users of the registry.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::parameters::{Wanted, nullable};
use crate::registry::{NewUser, Page, RateLimit, RateLimitText, Status, User, UserPatch};
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::{Json, Parameters, Segment};
use crate::server::problem::Problem;

/// A change of a user. An absent field leaves the user's field unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) struct Change {
    /// The version that the change is based on.
    version: Option<i64>,
    label: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    team: Option<Option<String>>,
    providers: Option<Vec<String>>,
    models: Option<Vec<String>>,
    status: Option<Status>,
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<RateLimitText>)]
    rate_limit: Option<Option<RateLimit>>,
}

pub(super) async fn list(
    permit: Permit<op::ListUsers>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Answer<Page<User>>, Problem> {
    Ok(Answer(permit.users(&wanted.try_into()?).await?))
}

pub(super) async fn create(
    permit: Permit<op::CreateUser>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Answer<User>), Problem> {
    let user = permit.create_user(new).await?;
    Ok((StatusCode::CREATED, Answer(user)))
}

pub(super) async fn show(
    permit: Permit<op::ShowUser>,
    Segment(email): Segment,
) -> Result<Answer<User>, Problem> {
    Ok(Answer(permit.user(&email).await?))
}

pub(super) async fn change(
    permit: Permit<op::ChangeUser>,
    Segment(email): Segment,
    Json(change): Json<Change>,
) -> Result<Answer<User>, Problem> {
    let Change { version, label, team, providers, models, status, rate_limit } = change;
    let patch = UserPatch { version, label, team, providers, models, status, rate_limit };
    Ok(Answer(permit.update_user(&email, patch).await?))
}

pub(super) async fn delete(
    permit: Permit<op::DeleteUser>,
    Segment(email): Segment,
) -> Result<StatusCode, Problem> {
    permit.delete_user(&email).await?;
    Ok(StatusCode::NO_CONTENT)
}
