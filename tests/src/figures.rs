//! The measurements of the bench: samples by round, from which all shown figures are computed.
//!
//! `tests/bench/results.json` holds the figures of the documents.

mod markdown;
mod report;
mod statistics;
mod targets;

pub(crate) use markdown::heading;
pub use markdown::{document, judgement, summary};
pub(crate) use report::processor;
pub use report::{FILE, Machine, Metric, Report, Row, Table};
pub use statistics::{Spread, spread};
pub use targets::{Target, targets};
