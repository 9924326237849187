//! `/admin/api/usage`: sums of usage by a dimension. `/admin/api/usage/details`: usage by day, caller and model.

use axum::Json as Answer;
use axum::extract::State as Extract;
use serde_json::{Value, json};

use crate::registry::UsageSummary;
use crate::server::admin::usage::Asked;
use crate::server::extract::Parameters;
use crate::server::problem::Problem;
use crate::server::state::State;

pub(super) async fn summary(
    Extract(state): Extract<State>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Answer<UsageSummary>, Problem> {
    let summary = state.registry().usage(&asked.query()?, asked.by(), asked.limit()).await?;
    Ok(Answer(summary))
}

pub(super) async fn details(
    Extract(state): Extract<State>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Answer<Value>, Problem> {
    let items = state.registry().usage_details(&asked.query()?, asked.limit()).await?;
    Ok(Answer(json!({"items": items})))
}
