//! `GET /admin/api/audit`: the audit log, newest first.

use axum::Json;
use axum::extract::State as Extract;
use serde::Deserialize;

use crate::registry::{AuditEntry, Listing, Page};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;
use crate::server::state::State;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    subject: Option<String>,
    after: Option<i64>,
    limit: Option<u32>,
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let listing = Listing { search: wanted.subject, status: None, after: wanted.after, limit: wanted.limit };
    Ok(Json(state.registry().audit(&listing).await?))
}
