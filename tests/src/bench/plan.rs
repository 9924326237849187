//! The plan of a run: its tables, and how often and how long each of them is measured.

use std::time::Duration;

use super::kind::Kind;

/// A selection of measurements, and how long each takes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rounds in which each is measured.
    pub rounds: usize,
    /// The time that each takes in a round.
    pub slice: Duration,
    /// At how many requests a second latencies are measured; left out, half of what Keyswap could do.
    pub rate: Option<u32>,
    /// The set-ups of the first table; all where there are none.
    pub set_ups: Vec<String>,
    /// The tables.
    pub tables: Vec<Kind>,
    /// Only makes sure that everything works: little of everything, and figures that say nothing.
    pub quick: bool,
}

impl Plan {
    /// Returns the number, or the one for a quick run.
    pub(super) fn scale(&self, number: usize, quick: usize) -> usize {
        if self.quick { quick } else { number }
    }
}
