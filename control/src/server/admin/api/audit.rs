//! `GET /admin/api/audit`: the audit log, newest first.

use axum::Json;
use serde::Deserialize;

use crate::registry::{AuditEntry, Listing, Page};
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    subject: Option<String>,
    after: Option<i64>,
    limit: Option<u32>,
}

pub(super) async fn list(
    permit: Permit<op::ReadAudit>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    let Wanted { subject, after, limit } = wanted;
    let listing = Listing { search: subject, after, limit, ..Listing::default() };
    Ok(Json(permit.audit(&listing).await?))
}
