//! The requested part of the list of objects, as query parameters.

use serde::Deserialize;

use crate::registry::{Holder, ObjectListing, Reach, RegistryError};

/// The query parameters. Empty ones are ignored, as a form sends them.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    pub(super) provider: String,
    pub(super) kind: String,
    pub(super) holder: String,
    pub(super) owner: String,
    pub(super) team: String,
    /// `yes` for objects whose holder makes no requests any more.
    pub(super) left: String,
    pub(super) after: Option<i64>,
    limit: Option<u32>,
}

impl TryFrom<Asked> for ObjectListing {
    type Error = RegistryError;

    fn try_from(asked: Asked) -> Result<Self, RegistryError> {
        let some = |text: &str| Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            provider: some(&asked.provider),
            kind: some(&asked.kind),
            holder: some(&asked.holder).as_deref().map(Holder::parse).transpose()?,
            owner: some(&asked.owner),
            team: some(&asked.team),
            left: asked.left == "yes",
            after: asked.after,
            limit: asked.limit,
            reach: Reach::All,
        })
    }
}
