//! `POST /v1/limits`: takes one request from a rate limit, atomically, for hosts that share no memory.
//!
//! The token's own limit counts, else the one in the question: `requests` in `per`, the policy's. The answer is 200
//! whether or not the request is allowed; it is an answer, and not a limit on who asks.

use axum::Json as Answer;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use keyswap_core::TokenDigest;
use serde::Deserialize;

use super::read_digest;
use crate::registry::{RateLimit, Taken};
use crate::serve::State;
use crate::serve::extract::Json;
use crate::serve::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Take {
    #[serde(deserialize_with = "read_digest")]
    sha256: TokenDigest,
    requests: Option<u32>,
    per: Option<String>,
}

pub(super) async fn limits(
    Extract(state): Extract<State>,
    Json(take): Json<Take>,
) -> Result<Answer<Taken>, Problem> {
    let default = match (take.requests, take.per) {
        (None, None) => None,
        (Some(requests), Some(per)) => Some(RateLimit::parse(requests, &per)?),
        _ => {
            let detail = "`requests` and `per` belong together";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        }
    };
    Ok(Answer(state.registry().take(&take.sha256, default).await?))
}
