//! Usage as tables for other programs: CSV, and FOCUS for programs that compare bills.

mod csv;
mod focus;
mod summary;

pub(crate) use focus::focus;
pub(crate) use summary::summary;
