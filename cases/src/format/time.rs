//! Times in a file of cases.

use keyswap_core::base::{Moment, UnixTime};
use serde::Deserialize as _;
use serde::de::{Deserializer, Error as _};

/// Reads a time with an offset.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = UnixTime::from_rfc3339(&text)
        .ok_or_else(|| D::Error::custom("expected a time with an offset such as `2027-06-30T00:00:00Z`"))?;
    Ok(Some(Moment::from(time)))
}
