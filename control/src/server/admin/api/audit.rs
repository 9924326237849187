//! `GET /admin/api/audit`: the audit log, newest first.

use axum::Json;
use axum::extract::State as Extract;

use crate::registry::{AuditEntry, Page};
use crate::server::admin::audit::Asked;
use crate::server::extract::Parameters;
use crate::server::problem::Problem;
use crate::server::state::State;

pub(super) async fn list(
    Extract(state): Extract<State>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    Ok(Json(state.registry().audit(&asked.query()?).await?))
}
