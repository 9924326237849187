//! The observer of a run: it receives the progress and may end the run early.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};

/// An observer of a run, which may end it.
pub struct Watch<'w> {
    tell: &'w mut dyn FnMut(&str, f64),
    stop: &'w AtomicBool,
    /// The current part of the run: its start and its size, as fractions of the run.
    part: (f64, f64),
}

impl<'w> Watch<'w> {
    /// Returns an observer. `tell` is called with the current step and the progress from 0 to 1. Setting `stop` ends
    /// the run at the next step.
    pub fn new(tell: &'w mut dyn FnMut(&str, f64), stop: &'w AtomicBool) -> Self {
        Self { tell, stop, part: (0.0, 1.0) }
    }

    /// Begins a part of the run at the progress `done`. `size` is the part's fraction of the run.
    pub(super) fn begin_part(&mut self, done: f64, size: f64) {
        self.part = (done, size);
    }

    /// Reports the next step and the progress within the part. Returns an error if the run was interrupted.
    pub(super) fn at(&mut self, what: &str, done: f64) -> Result<()> {
        ensure!(!self.stop.load(Ordering::SeqCst), "interrupted");
        let (begin, size) = self.part;
        (self.tell)(what, begin + size * done);
        Ok(())
    }
}
