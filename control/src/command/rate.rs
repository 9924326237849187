//! Parsers for durations and rate limits in arguments.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::registry::{self, RateLimit};

/// The longest time until an expiry.
const YEAR_SECONDS: u32 = 366 * 86_400;

/// Parses a rate limit: a number of requests, of tokens (`t`) or of both, and a period.
pub(super) fn parse(text: &str) -> anyhow::Result<RateLimit> {
    let expected = "expected requests, tokens or both, and a period: `60/1m`, `100000t/1m`, `60,100000t/1m`";
    Ok(RateLimit::of_text(text).context(expected)??)
}

/// Parses a number of callers and a period, such as `5/5m`.
pub(super) fn parse_fallback(text: &str) -> anyhow::Result<(u32, u32)> {
    let expected = "expected callers and a period, such as `5/5m`";
    let (callers, per) = text.split_once('/').context(expected)?;
    let bound = RateLimit::parse(Some(callers.parse().context(expected)?), None, per)?;
    Ok((bound.requests().unwrap_or_default(), bound.seconds()))
}

/// Parses a time limit such as `20s` or `1m`, from one second to one hour.
pub(super) fn parse_timeout(text: &str) -> anyhow::Result<Duration> {
    let expected = "expected a duration such as `20s`, from `1s` to `1h`";
    let seconds = registry::seconds(text).filter(|seconds| (1..=3600).contains(seconds));
    Ok(Duration::from_secs(seconds.context(expected)?.into()))
}

/// Parses the time for which usage is kept, from `1d` to `4000d`.
pub(super) fn parse_retention(text: &str) -> anyhow::Result<Duration> {
    let expected = "expected a duration such as `400d`, from `1d` to `4000d`";
    let seconds = registry::seconds(text).filter(|seconds| (86_400..=4000 * 86_400).contains(seconds));
    Ok(Duration::from_secs(seconds.context(expected)?.into()))
}

/// Parses the time until an expiry, such as `12h` or `30d`, from one second to one year.
pub(super) fn parse_expiry(text: &str) -> anyhow::Result<Duration> {
    let expected = "expected a duration such as `12h` or `30d`, at most one year";
    let seconds = registry::seconds(text).filter(|seconds| (1..=YEAR_SECONDS).contains(seconds));
    Ok(Duration::from_secs(seconds.context(expected)?.into()))
}

/// Parses a grace period such as `30s`, `10m`, `24h` or `7d`, at most one year.
pub(super) fn parse_grace(text: &str) -> anyhow::Result<Duration> {
    let expected = "expected a duration such as `10m`, `24h` or `7d`, at most one year";
    let grace = Duration::from_secs(registry::seconds(text).context(expected)?.into());
    ensure!(grace <= registry::MAX_GRACE, expected);
    Ok(grace)
}
