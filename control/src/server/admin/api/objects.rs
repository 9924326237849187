//! `/admin/api/objects`: the objects that callers keep at providers, and their holders.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::{Extension, Json as Answer};
use serde::Deserialize;

use crate::registry::{
    Actor, Adopted, Holder, KeptObject, Moved, ObjectKey, ObjectListing, Page, RegistryError,
};
use crate::server::admin::objects::Asked;
use crate::server::digest::DigestSegment;
use crate::server::extract::{Json, Parameters};
use crate::server::problem::Problem;
use crate::server::state::State;

/// Objects without a holder, and the one that gets them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adopt {
    provider: String,
    ids: Vec<String>,
    kind: Option<String>,
    holder: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct To {
    to: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromTo {
    from: String,
    to: String,
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Answer<Page<KeptObject>>, Problem> {
    let listing = ObjectListing::try_from(asked)?;
    Ok(Answer(state.registry().objects(&listing).await?))
}

pub(super) async fn show(
    Extract(state): Extract<State>,
    DigestSegment(digest): DigestSegment,
) -> Result<Answer<KeptObject>, Problem> {
    Ok(Answer(state.registry().object(&digest).await?))
}

pub(super) async fn adopt(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Json(Adopt { provider, ids, kind, holder }): Json<Adopt>,
) -> Result<Answer<Adopted>, Problem> {
    let key = |id: &String| ObjectKey::new(&provider, id);
    let keys = ids.iter().map(key).collect::<Result<Vec<_>, RegistryError>>()?;
    let holder = Holder::parse(&holder)?;
    Ok(Answer(state.registry().adopt_objects(&keys, kind.as_deref(), &holder, &actor).await?))
}

pub(super) async fn transfer(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    DigestSegment(digest): DigestSegment,
    Json(To { to }): Json<To>,
) -> Result<Answer<KeptObject>, Problem> {
    Ok(Answer(state.registry().transfer_object(&digest, &Holder::parse(&to)?, &actor).await?))
}

/// Transfers objects of a holder, at most 200. The client repeats the request while there are more.
pub(super) async fn transfer_all(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Json(FromTo { from, to }): Json<FromTo>,
) -> Result<Answer<Moved>, Problem> {
    let (from, to) = (Holder::parse(&from)?, Holder::parse(&to)?);
    Ok(Answer(state.registry().transfer_objects(&from, &to, &actor).await?))
}

pub(super) async fn forget(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    state.registry().forget_object(&digest, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
