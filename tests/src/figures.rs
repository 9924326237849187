//! The measurements of the bench: samples, round by round, from which all that is shown is worked out.
//!
//! `tests/bench/results.json` holds those that the documents show.

mod markdown;
mod report;
mod statistics;
mod targets;

pub use markdown::{document, judgement, summary};
pub use report::{FILE, Machine, Metric, Report, Row, Table};
pub use statistics::{Spread, spread};
pub use targets::{Target, targets};
