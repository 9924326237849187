//! `GET /v1/changes?since=N&history=H[&wait=SECONDS]`: the changes after N, or a wait for the next one. Without `since` it
//! answers the newest sequence number and no changes.

use std::time::Duration;

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use serde::Deserialize;

use super::refused::Refused;
use crate::registry::Feed;
use crate::server::extract::Parameters;
use crate::server::problem::Problem;
use crate::server::state::State;

/// The longest wait, in seconds.
const MAX_WAIT_SECONDS: u64 = 60;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    /// The sequence number of the last answer; absent in the first request
    #[param(minimum = 0)]
    since: Option<i64>,
    /// The history of the last answer; without it a database that was restored from a backup may go unnoticed
    #[param(pattern = "^[0-9a-f]{16}$")]
    history: Option<String>,
    /// The longest wait for a change, in seconds
    #[serde(default)]
    #[param(maximum = 60)]
    wait: u64,
}

/// List the changes after a sequence number, or wait for the next one
#[utoipa::path(
    get,
    path = "/v1/changes",
    tag = "changes",
    params(Cursor),
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The changes", body = Feed),
        Refused,
    )
)]
pub(super) async fn changes(
    Extract(state): Extract<State>,
    Parameters(Cursor { since, history, wait }): Parameters<Cursor>,
) -> Result<Json<Feed>, Problem> {
    if since.is_some_and(|since| since < 0) || wait > MAX_WAIT_SECONDS {
        let detail = format!("expected `since` from 0, and `wait` up to {MAX_WAIT_SECONDS} seconds");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", detail));
    }
    let registry = state.registry();
    let Some(since) = since else { return Ok(Json(registry.newest_change().await?)) };
    let history = history.as_deref();
    let feed = tokio::select! {
        feed = registry.changes(since, history, Duration::from_secs(wait)) => feed,
        () = state.stopping() => registry.changes(since, history, Duration::ZERO).await,
    };
    Ok(Json(feed?))
}
