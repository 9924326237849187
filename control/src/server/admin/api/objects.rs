//! `/admin/api/objects`: the objects that callers keep at providers, and their holders.

use axum::Json as Answer;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::registry::{Adopted, Holder, KeptObject, Moved, ObjectKey, ObjectListing, Page, RegistryError};
use crate::server::admin::gate::{Permit, op};
use crate::server::admin::objects::Asked;
use crate::server::digest::DigestSegment;
use crate::server::extract::{Json, Parameters};
use crate::server::problem::Problem;

/// Objects without a holder, and the one that gets them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Adopt {
    /// The provider, by its id in policies
    provider: String,
    /// The ids at the provider
    ids: Vec<String>,
    /// The kind, such as `file`
    kind: Option<String>,
    /// `token:SHA256` or `person:EMAIL`
    holder: String,
}

/// The next holder of an object.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct To {
    /// `token:SHA256` or `person:EMAIL`
    to: String,
}

/// The present and the next holder of objects.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FromTo {
    /// `token:SHA256` or `person:EMAIL`
    from: String,
    /// `token:SHA256` or `person:EMAIL`
    to: String,
}

pub(super) async fn list(
    permit: Permit<op::ListObjects>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Answer<Page<KeptObject>>, Problem> {
    let listing = ObjectListing::try_from(asked)?;
    Ok(Answer(permit.objects(&listing).await?))
}

pub(super) async fn show(
    permit: Permit<op::ShowObject>,
    DigestSegment(digest): DigestSegment,
) -> Result<Answer<KeptObject>, Problem> {
    Ok(Answer(permit.object(&digest).await?))
}

pub(super) async fn adopt(
    permit: Permit<op::AdoptObjects>,
    Json(Adopt { provider, ids, kind, holder }): Json<Adopt>,
) -> Result<Answer<Adopted>, Problem> {
    let key = |id: &String| ObjectKey::new(&provider, id);
    let keys = ids.iter().map(key).collect::<Result<Vec<_>, RegistryError>>()?;
    let holder = Holder::parse(&holder)?;
    Ok(Answer(permit.adopt_objects(&keys, kind.as_deref(), &holder).await?))
}

pub(super) async fn transfer(
    permit: Permit<op::TransferObjects>,
    DigestSegment(digest): DigestSegment,
    Json(To { to }): Json<To>,
) -> Result<Answer<KeptObject>, Problem> {
    Ok(Answer(permit.transfer_object(&digest, &Holder::parse(&to)?).await?))
}

/// Transfers objects of a holder, at most 200. The client repeats the request while there are more.
pub(super) async fn transfer_all(
    permit: Permit<op::TransferObjects>,
    Json(FromTo { from, to }): Json<FromTo>,
) -> Result<Answer<Moved>, Problem> {
    let (from, to) = (Holder::parse(&from)?, Holder::parse(&to)?);
    Ok(Answer(permit.transfer_objects(&from, &to).await?))
}

pub(super) async fn forget(
    permit: Permit<op::ForgetObject>,
    DigestSegment(digest): DigestSegment,
) -> Result<StatusCode, Problem> {
    permit.forget_object(&digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
