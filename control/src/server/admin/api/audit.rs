//! `GET /admin/api/audit`: the audit log, newest first.

use axum::Json;

use crate::registry::{AuditEntry, Page};
use crate::server::admin::audit::Asked;
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

pub(super) async fn list(
    permit: Permit<op::ReadAudit>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    Ok(Json(permit.audit(&asked.query()?).await?))
}
