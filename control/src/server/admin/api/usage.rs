//! `/admin/api/usage`: sums of usage by a dimension. `/admin/api/usage/details`: usage by day, caller and model.

use axum::Json as Answer;

use super::answers::Items;
use crate::registry::{UsageDetail, UsageSummary};
use crate::server::admin::gate::{Permit, op};
use crate::server::admin::usage::Asked;
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

pub(super) async fn summary(
    permit: Permit<op::ReadUsage>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Answer<UsageSummary>, Problem> {
    let summary = permit.usage(&asked.query()?, asked.by(), asked.limit()).await?;
    Ok(Answer(summary))
}

pub(super) async fn details(
    permit: Permit<op::ReadUsage>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Answer<Items<UsageDetail>>, Problem> {
    Ok(Items::of(permit.usage_details(&asked.query()?, asked.limit()).await?))
}
