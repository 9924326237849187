//! `/admin/api/owners/{email}`: the user and the tokens of an address. `POST …/offboard` disables them.

use axum::Json as Answer;

use crate::registry::Offboarded;
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Segment;
use crate::server::problem::Problem;

pub(super) async fn show(
    permit: Permit<op::ShowOwner>,
    Segment(email): Segment,
) -> Result<Answer<Offboarded>, Problem> {
    Ok(Answer(permit.owned_by(&email).await?))
}

/// Disables the user and all tokens of an address. Answers with what was active until now.
pub(super) async fn offboard(
    permit: Permit<op::Offboard>,
    Segment(email): Segment,
) -> Result<Answer<Offboarded>, Problem> {
    Ok(Answer(permit.offboard(&email).await?))
}
