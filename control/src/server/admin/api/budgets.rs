//! `/admin/api/budgets`: the budgets that administrators set, and those that data planes bring from their policy.

use axum::Json as Answer;
use axum::http::StatusCode;

use super::answers::Items;
use crate::registry::{Budget, BudgetState, Payer, now};
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::{Json, Segment};
use crate::server::problem::Problem;

/// The budgets of policies in one answer.
const MAX_OF_POLICIES: i64 = 1000;

pub(super) async fn list(permit: Permit<op::ListBudgets>) -> Result<Answer<Items<BudgetState>>, Problem> {
    let now = now();
    let mut items = permit.budgets(now).await?;
    items.append(&mut permit.budgets_of_policies(MAX_OF_POLICIES, now).await?);
    Ok(Items::of(items))
}

/// Answers the budgets of a subject. A subject has several if data planes bring different ones from their policies.
pub(super) async fn show(
    permit: Permit<op::ShowBudget>,
    Segment(subject): Segment,
) -> Result<Answer<Items<BudgetState>>, Problem> {
    Ok(Items::of(permit.budget(&Payer::parse(&subject)?, now()).await?))
}

pub(super) async fn set(
    permit: Permit<op::SetBudget>,
    Segment(subject): Segment,
    Json(budget): Json<Budget>,
) -> Result<Answer<Items<BudgetState>>, Problem> {
    let subject = Payer::parse(&subject)?;
    permit.set_budget(&subject, &budget).await?;
    Ok(Items::of(permit.budget(&subject, now()).await?))
}

pub(super) async fn delete(
    permit: Permit<op::DeleteBudget>,
    Segment(subject): Segment,
) -> Result<StatusCode, Problem> {
    permit.delete_budget(&Payer::parse(&subject)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
