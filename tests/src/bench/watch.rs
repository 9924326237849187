//! The watch over a run: it is told of the progress, and may end the run early.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};

/// A view of the run from outside, which may end it.
pub struct Watch<'w> {
    tell: &'w mut dyn FnMut(&str, f64),
    stop: &'w AtomicBool,
    /// The part of the run that is going on: where it begins, and how much it is of all.
    part: (f64, f64),
}

impl<'w> Watch<'w> {
    /// Returns one that calls `tell` with what is done now, and how much of all is done, from 0 to 1. `stop`, once set, ends
    /// the run soon.
    pub fn new(tell: &'w mut dyn FnMut(&str, f64), stop: &'w AtomicBool) -> Self {
        Self { tell, stop, part: (0.0, 1.0) }
    }

    /// Begins a part of the run, where so much of all is done. The part is `size` of all.
    pub(super) fn begin_part(&mut self, done: f64, size: f64) {
        self.part = (done, size);
    }

    /// Tells what is done next, and how much of the part is done.
    pub(super) fn at(&mut self, what: &str, done: f64) -> Result<()> {
        ensure!(!self.stop.load(Ordering::SeqCst), "interrupted");
        let (begin, size) = self.part;
        (self.tell)(what, begin + size * done);
        Ok(())
    }
}
