//! The time that a policy is judged as of.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use keyswap_core::base::{Moment, UnixTime};

use crate::command::terminal::output;

/// Returns the time of the argument, or now without one. A text that is not RFC 3339 is an error.
pub(super) fn time(at: Option<&str>) -> anyhow::Result<Moment> {
    let Some(text) = at else {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        return Ok(Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
    };
    match UnixTime::from_rfc3339(text) {
        Some(time) => Ok(Moment::from(time)),
        None => bail!(
            "invalid time `{}`: expected a time with an offset, such as `2027-06-30T00:00:00Z`",
            output::visible(text)
        ),
    }
}
