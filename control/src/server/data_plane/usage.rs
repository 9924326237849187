//! `POST /v1/usage`: the days on which tokens were used, in batches.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use keyswap_core::base::Digest;
use serde::Deserialize;

use super::refused::{BodyRefused, Misfit, Refused};
use crate::registry::{Day, Mark};
use crate::server::digest::read_digest;
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::state::State;
use crate::text::object::Object;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Usage {
    /// The uses of tokens, at most 500
    #[schema(value_type = Vec<Use>, max_items = 500)]
    marks: Vec<Object<Use>>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Use {
    /// The SHA-256 of the token
    #[serde(deserialize_with = "read_digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Digest,
    /// The day in UTC, at the latest tomorrow
    #[schema(value_type = String, format = Date)]
    day: Day,
}

/// Report the days on which tokens were used
#[utoipa::path(
    post,
    path = "/v1/usage",
    tag = "reports",
    request_body = Usage,
    security(("registry_token" = [])),
    responses(
        (status = 204, description = "Stored; unknown tokens are ignored"),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn usage(
    Extract(state): Extract<State>,
    Json(usage): Json<Usage>,
) -> Result<StatusCode, Problem> {
    let marks =
        usage.marks.into_iter().map(|Object(used)| Mark { digest: used.sha256, day: used.day }).collect();
    state.registry().mark_used(marks).await?;
    Ok(StatusCode::NO_CONTENT)
}
