//! The machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyswap_core::base::UnixTime;

/// Returns the time of the machine's clock.
pub(crate) fn now() -> UnixTime {
    UnixTime(i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX))
}

/// Returns the time since 1970, zero for a clock that is set to an earlier time.
pub(in crate::registry) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
