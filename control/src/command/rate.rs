//! Times and rate limits as arguments.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::registry::{self, RateLimit};

/// Reads `60/1m`: so many requests in such a time.
pub(super) fn parse(text: &str) -> anyhow::Result<RateLimit> {
    let expected = "expected requests and a time such as `60/1m`";
    let (requests, per) = text.split_once('/').context(expected)?;
    Ok(RateLimit::parse(requests.parse().context(expected)?, per)?)
}

/// Reads a time limit: `20s`, `1m`; an hour at most.
pub(super) fn parse_timeout(text: &str) -> anyhow::Result<Duration> {
    let expected = "expected a time such as `20s`, from `1s` to `1h`";
    let seconds = registry::seconds(text).filter(|seconds| (1..=3600).contains(seconds));
    Ok(Duration::from_secs(seconds.context(expected)?.into()))
}

/// Reads a time in which two tokens may both work: `30s`, `10m`, `24h`, `7d`; a year at most.
pub(super) fn parse_grace(text: &str) -> anyhow::Result<Duration> {
    let expected = "expected a time such as `10m`, `24h` or `7d`, a year at most";
    let grace = Duration::from_secs(registry::seconds(text).context(expected)?.into());
    ensure!(grace <= registry::MAX_GRACE, expected);
    Ok(grace)
}
