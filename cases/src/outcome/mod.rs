//! The outcome of a request, and how it differs from the expected one.

mod comparison;
mod difference;
mod found;
mod seen;

pub use difference::Difference;
pub use found::{Found, Outcome};
pub use seen::{Answered, Forwarded};
