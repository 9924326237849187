//! The time in which a token and its successor both work, as administrators write it.

use std::time::Duration;

use crate::registry::{self, RegistryError};

/// Reads the time for which a token works beside its successor.
pub(super) fn grace(text: &str) -> Result<Duration, RegistryError> {
    let seconds = registry::seconds(text).filter(|seconds| *seconds <= 366 * 86_400);
    seconds.map(|seconds| Duration::from_secs(u64::from(seconds))).ok_or_else(|| RegistryError::Invalid {
        field: "grace",
        expected: "expected a time such as `0s`, `30m`, `24h` or `7d`, at most `366d`".to_owned(),
    })
}
