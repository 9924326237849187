//! Parts of requests that several handlers read.

use serde::{Deserialize, Deserializer};

use crate::registry::{Listing, Status};

/// The part of a list that a request asks for.
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
        Self { search, status, after, limit }
    }
}

/// Reads a field that may be there as `null`: `Some(None)`, which is not the same as not being there.
#[expect(clippy::option_option, reason = "there are three cases")]
pub(super) fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
