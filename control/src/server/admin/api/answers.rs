//! Bodies of answers that several handlers give, or that have a secret.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::registry::SecretText;

/// All entries of a list that has no pages.
#[derive(Serialize, ToSchema)]
pub(super) struct Items<T> {
    /// The entries
    pub(super) items: Vec<T>,
}

impl<T> Items<T> {
    pub(super) fn of(items: Vec<T>) -> axum::Json<Self> {
        axum::Json(Self { items })
    }
}

/// A secret in the one answer that has it.
pub(super) struct Shown(pub(super) SecretText);

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}
