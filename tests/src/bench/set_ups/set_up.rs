//! A set-up: a named proxy with its configuration.

use anyhow::{Context as _, Result};

use super::running::Running;
use crate::bench::stage::Stage;

/// The name of the baseline of the set-ups on Envoy.
pub const BARE: &str = "bare";

/// A set-up.
pub struct SetUp {
    /// The name on the command line and in results.
    pub name: &'static str,
    /// The title in tables.
    pub title: &'static str,
    /// The name of the set-up whose cost is subtracted.
    pub baseline: &'static str,
    pub(super) start: fn(&Stage, workers: u32) -> Result<Running>,
}

impl SetUp {
    /// Starts the set-up with `workers` workers, and checks its proof.
    pub fn start(&self, stage: &Stage, workers: u32) -> Result<Running> {
        let started = (self.start)(stage, workers).and_then(|running| {
            running.prove(stage)?;
            Ok(running)
        });
        started.with_context(|| format!("the set-up `{}` does not work", self.name))
    }
}
