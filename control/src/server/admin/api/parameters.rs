//! Parts of requests that several handlers read.

use serde::{Deserialize, Deserializer};

use crate::registry::{Attention, Listing, RegistryError, Status};

/// The query parameters that select a part of a list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// A text that entries must contain, ignoring case.
    search: Option<String>,
    #[param(inline)]
    status: Option<Status>,
    /// The attention that tokens need: `expiring`, `unused` or `unowned`.
    attention: Option<String>,
    /// The `next` of the previous page.
    after: Option<i64>,
    /// The largest number of entries, from 1 to 200; 50 if absent.
    limit: Option<u32>,
}

impl TryFrom<Wanted> for Listing {
    type Error = RegistryError;

    fn try_from(wanted: Wanted) -> Result<Self, RegistryError> {
        let Wanted { search, status, attention, after, limit } = wanted;
        let read = |name: String| {
            Attention::from_name(&name).ok_or_else(|| RegistryError::Invalid {
                field: "attention",
                expected: "expected expiring, unused or unowned".to_owned(),
            })
        };
        Ok(Self {
            search,
            status,
            attention: attention.map(read).transpose()?,
            after,
            limit,
            ..Self::default()
        })
    }
}

/// Reads a field that may be `null`: `Some(None)`. An absent field is `None`.
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
