//! A set-up: a proxy with its configuration, under a name.

use anyhow::{Context as _, Result};

use super::running::Running;
use crate::bench::stage::Stage;

/// A set-up.
pub struct SetUp {
    /// Its name on the command line and in results.
    pub name: &'static str,
    /// Its title, for people.
    pub title: &'static str,
    /// The set-up whose cost is not its own.
    pub baseline: &'static str,
    pub(super) start: fn(&Stage, workers: u32) -> Result<Running>,
}

impl SetUp {
    /// Starts it with so many workers, and makes sure that it does what it is said to do.
    pub fn start(&self, stage: &Stage, workers: u32) -> Result<Running> {
        let started = (self.start)(stage, workers).and_then(|running| {
            running.prove(stage)?;
            Ok(running)
        });
        started.with_context(|| format!("the set-up `{}` does not work", self.name))
    }
}
