//! `/admin/api/users`: the users of the registry.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde::Deserialize;

use super::parameters::{Wanted, nullable};
use crate::registry::{Actor, NewUser, Page, RateLimit, Status, User, UserPatch};
use crate::server::extract::{Json, Parameters, Segment};
use crate::server::problem::Problem;
use crate::server::state::State;

/// A change of a user. An absent field leaves the user's field unchanged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) struct Change {
    /// The version that the change is based on.
    version: Option<i64>,
    label: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    team: Option<Option<String>>,
    providers: Option<Vec<String>>,
    models: Option<Vec<String>>,
    status: Option<Status>,
    #[serde(default, deserialize_with = "nullable")]
    rate_limit: Option<Option<RateLimit>>,
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Answer<Page<User>>, Problem> {
    Ok(Answer(state.registry().users(&wanted.try_into()?).await?))
}

pub(super) async fn create(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Answer<User>), Problem> {
    let user = state.registry().create_user(new, &actor).await?;
    Ok((StatusCode::CREATED, Answer(user)))
}

pub(super) async fn show(
    Extract(state): Extract<State>,
    Segment(email): Segment,
) -> Result<Answer<User>, Problem> {
    Ok(Answer(state.registry().user(&email).await?))
}

pub(super) async fn change(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(email): Segment,
    Json(change): Json<Change>,
) -> Result<Answer<User>, Problem> {
    let Change { version, label, team, providers, models, status, rate_limit } = change;
    let patch = UserPatch { version, label, team, providers, models, status, rate_limit };
    Ok(Answer(state.registry().update_user(&email, patch, &actor).await?))
}

pub(super) async fn delete(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(email): Segment,
) -> Result<StatusCode, Problem> {
    state.registry().delete_user(&email, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
