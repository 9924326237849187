//! `/admin/api/owners/{email}`: the user and the tokens of an address. `POST …/offboard` disables them.

use axum::extract::State as Extract;
use axum::{Extension, Json as Answer};

use crate::registry::{Actor, Offboarded};
use crate::server::extract::Segment;
use crate::server::problem::Problem;
use crate::server::state::State;

pub(super) async fn show(
    Extract(state): Extract<State>,
    Segment(email): Segment,
) -> Result<Answer<Offboarded>, Problem> {
    Ok(Answer(state.registry().owned_by(&email).await?))
}

/// Disables the user and all tokens of an address. Answers with what was active until now.
pub(super) async fn offboard(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(email): Segment,
) -> Result<Answer<Offboarded>, Problem> {
    Ok(Answer(state.registry().offboard(&email, &actor).await?))
}
