//! HTTP/1.1 connections: how many may be open, and how long their clients may take.

mod places;
mod prompt;

mod serve;

pub use places::ConnectionLimits;
pub(super) use serve::serve;
