//! The grace period of a rotation, as administrators write it.

use std::time::Duration;

use crate::registry::{self, RegistryError};

/// Parses the grace period, in which a token works beside its successor. More than 366 days are an error.
pub(super) fn grace(text: &str) -> Result<Duration, RegistryError> {
    let seconds = registry::seconds(text).filter(|seconds| *seconds <= 366 * 86_400);
    seconds.map(|seconds| Duration::from_secs(u64::from(seconds))).ok_or_else(|| RegistryError::Invalid {
        field: "grace",
        expected: "expected a duration such as `0s`, `30m`, `24h` or `7d`, at most `366d`".to_owned(),
    })
}
