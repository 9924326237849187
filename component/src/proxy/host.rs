//! The host's clock and log.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use keyswap_core::base::Moment;

/// Returns the time of day.
pub(super) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Writes lines for operators. A log that cannot be written is not a reason to refuse a request.
pub(super) fn log(lines: impl IntoIterator<Item = String>) {
    for line in lines {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
