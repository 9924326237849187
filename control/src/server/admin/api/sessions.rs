//! `/admin/api/users/{email}/sessions` and `/admin/api/sessions/{sid}`: the sessions of people on their devices.

use axum::Json as Answer;
use axum::http::StatusCode;

use super::answers::Items;
use crate::registry::Session;
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Segment;
use crate::server::problem::Problem;

pub(super) async fn list(
    permit: Permit<op::ListSessions>,
    Segment(email): Segment,
) -> Result<Answer<Items<Session>>, Problem> {
    Ok(Items::of(permit.sessions(&email).await?))
}

pub(super) async fn end(
    permit: Permit<op::EndSession>,
    Segment(sid): Segment,
) -> Result<StatusCode, Problem> {
    permit.end_device_session(&sid).await?;
    Ok(StatusCode::NO_CONTENT)
}
