//! Waiting for conditions, without fixed sleeps.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

const PATIENCE: Duration = Duration::from_secs(30);

/// Repeats `holds` until it returns true. Returns the time that this took.
pub fn until(what: &str, holds: impl FnMut() -> Result<bool>) -> Result<Duration> {
    until_within(PATIENCE, what, holds)
}

/// Repeats `holds` until it returns true, for a condition that takes its time. Returns the time that this took.
pub fn until_within(
    patience: Duration,
    what: &str,
    mut holds: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let started = Instant::now();
    while !holds()? {
        ensure!(started.elapsed() < patience, "this did not come about: {what}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(started.elapsed())
}
