//! `POST /v1/usage`: the days on which tokens were used, many at once.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use keyswap_core::TokenDigest;
use serde::Deserialize;

use super::read_digest;
use crate::object::Object;
use crate::registry::{Day, Mark};
use crate::serve::State;
use crate::serve::extract::Json;
use crate::serve::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Usage {
    marks: Vec<Object<Use>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Use {
    #[serde(deserialize_with = "read_digest")]
    sha256: TokenDigest,
    day: Day,
}

pub(super) async fn usage(
    Extract(state): Extract<State>,
    Json(usage): Json<Usage>,
) -> Result<StatusCode, Problem> {
    let marks =
        usage.marks.into_iter().map(|Object(used)| Mark { digest: used.sha256, day: used.day }).collect();
    state.registry().mark_used(marks).await?;
    Ok(StatusCode::NO_CONTENT)
}
