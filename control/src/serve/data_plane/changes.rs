//! `GET /v1/changes?since=N[&wait=SECONDS]`: what changed after N, or a wait until something does.

use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::registry::Feed;
use crate::serve::State;
use crate::serve::extract::Parameters;
use crate::serve::problem::Problem;

/// The longest wait, in seconds.
const LONGEST_WAIT: u64 = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    since: i64,
    #[serde(default)]
    wait: u64,
}

pub(super) async fn changes(
    Extract(state): Extract<State>,
    Parameters(Since { since, wait }): Parameters<Since>,
) -> Result<Json<Feed>, Problem> {
    if since < 0 || wait > LONGEST_WAIT {
        let detail = format!("expected `since` from 0, and `wait` up to {LONGEST_WAIT} seconds");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail));
    }
    let registry = state.registry();
    let feed = tokio::select! {
        feed = registry.changes(since, Duration::from_secs(wait)) => feed,
        () = state.stopping() => registry.changes(since, Duration::ZERO).await,
    };
    Ok(Json(feed?))
}
