//! Waiting for what comes about in its own time, without guessing how long that takes.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until it is so; how long that took.
pub fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<Duration> {
    let started = Instant::now();
    while !holds()? {
        ensure!(started.elapsed() < PATIENCE, "this did not come about: {what}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(started.elapsed())
}
