//! The plan of a run: its tables, with the number and the length of measurements.

use std::{path::PathBuf, time::Duration};

use super::kind::Kind;

/// A selection of measurements, and their length.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of rounds.
    pub rounds: usize,
    /// The time of each measurement in a round.
    pub slice: Duration,
    /// The rate at which latencies are measured, in requests a second. `None` for half of Keyswap's maximum.
    pub rate: Option<u32>,
    /// The set-ups of the first table. Empty for all.
    pub set_ups: Vec<String>,
    /// The filter of a former release, which the first table then measures too.
    pub former: Option<PathBuf>,
    /// The tables.
    pub tables: Vec<Kind>,
    /// Set for a run that only checks that everything works: few measurements, whose figures are meaningless.
    pub quick: bool,
}

impl Plan {
    /// Returns `number`, or `quick` for a quick run.
    pub(super) fn scale(&self, number: usize, quick: usize) -> usize {
        if self.quick { quick } else { number }
    }
}
