//! The host's clock and log.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use keyswap_core::base::Moment;
use keyswap_core::policy::PolicyErrors;

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

/// Returns the lines of a policy's errors, for the log.
pub(super) fn lines_of(PolicyErrors(errors): PolicyErrors) -> Vec<String> {
    let count = errors.len();
    let last = format!(
        "the policy has {count} error(s), so no request is served; `keyswap policy check --host component` shows the same"
    );
    errors.iter().map(ToString::to_string).chain([last]).collect()
}
