//! Parts of requests that several handlers read.

use serde::{Deserialize, Deserializer};

use crate::registry::{Listing, Status};

/// The query parameters that select a part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    search: Option<String>,
    status: Option<Status>,
    after: Option<i64>,
    limit: Option<u32>,
}

impl From<Wanted> for Listing {
    fn from(wanted: Wanted) -> Self {
        let Wanted { search, status, after, limit } = wanted;
        Self { search, status, after, limit, ..Self::default() }
    }
}

/// Reads a field that may be `null`: `Some(None)`. An absent field is `None`.
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
