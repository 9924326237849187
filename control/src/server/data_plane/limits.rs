//! `POST /v1/limits`: takes one request from a rate limit, atomically, for hosts whose workers share no memory.
//!
//! The token's own limit applies, else the policy's, which the request carries as `requests` and `per`. The answer has
//! status 200 even if the limit is exceeded: the data plane refuses its caller, not the registry the data plane.

use axum::Json as Answer;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use keyswap_core::base::Digest;
use serde::Deserialize;

use super::refused::{BodyRefused, Misfit, Refused};
use crate::registry::{RateLimit, Taken};
use crate::server::digest::read_digest;
use crate::server::extract::Json;
use crate::server::problem::{Problem, ProblemBody};
use crate::server::state::State;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Take {
    /// The SHA-256 of the token, or of another key to count under
    #[serde(deserialize_with = "read_digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Digest,
    /// The number of requests, for a token without a limit of its own
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests: Option<u32>,
    /// The period, such as `60s`, `10m`, `1h` or `1d`; required with `requests`
    #[schema(pattern = "^[0-9]+[smhd]$")]
    per: Option<String>,
}

/// Take one request from a rate limit
#[utoipa::path(
    post,
    path = "/v1/limits",
    tag = "limits",
    request_body = Take,
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The state of the limit, and if the request is allowed", body = Taken),
        (status = 404, description = "The token is unknown, and the request has no limit", body = ProblemBody<'static>, content_type = "application/problem+json"),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn limits(
    Extract(state): Extract<State>,
    Json(take): Json<Take>,
) -> Result<Answer<Taken>, Problem> {
    let default = match (take.requests, take.per) {
        (None, None) => None,
        (Some(requests), Some(per)) => Some(RateLimit::parse(Some(requests), None, &per)?),
        _ => {
            let detail = "`requests` and `per` must be sent together";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        }
    };
    Ok(Answer(state.registry().take(&take.sha256, default).await?))
}
