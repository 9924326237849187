//! `GET /healthz`: the process answers. `GET /readyz`: the database answers too.

use axum::Router;
use axum::extract::State as Extract;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::problem::Problem;
use super::state::State;

pub(super) fn router() -> Router<State> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

async fn healthz() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n")
}

async fn readyz(Extract(state): Extract<State>) -> Result<impl IntoResponse, Problem> {
    state.registry().ping().await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], "ok\n"))
}
