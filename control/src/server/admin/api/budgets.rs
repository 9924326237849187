//! `/admin/api/budgets`: the budgets that administrators set, and those that data planes bring from their policy.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde_json::{Value, json};

use crate::registry::{Actor, Budget, Payer, now};
use crate::server::extract::{Json, Segment};
use crate::server::problem::Problem;
use crate::server::state::State;

/// The budgets of policies in one answer.
const MAX_OF_POLICIES: i64 = 1000;

pub(super) async fn list(Extract(state): Extract<State>) -> Result<Answer<Value>, Problem> {
    let (registry, now) = (state.registry(), now());
    let mut items = registry.budgets(now).await?;
    items.append(&mut registry.budgets_of_policies(MAX_OF_POLICIES, now).await?);
    Ok(Answer(json!({"items": items})))
}

/// Answers the budgets of a subject. A subject has several if data planes bring different ones from their policies.
pub(super) async fn show(
    Extract(state): Extract<State>,
    Segment(subject): Segment,
) -> Result<Answer<Value>, Problem> {
    let states = state.registry().budget(&Payer::parse(&subject)?, now()).await?;
    Ok(Answer(json!({"items": states})))
}

pub(super) async fn set(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(subject): Segment,
    Json(budget): Json<Budget>,
) -> Result<Answer<Value>, Problem> {
    let (registry, subject) = (state.registry(), Payer::parse(&subject)?);
    registry.set_budget(&subject, &budget, &actor).await?;
    Ok(Answer(json!({"items": registry.budget(&subject, now()).await?})))
}

pub(super) async fn delete(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(subject): Segment,
) -> Result<StatusCode, Problem> {
    state.registry().delete_budget(&Payer::parse(&subject)?, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
