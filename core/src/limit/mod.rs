//! Rate limits, counted per token: for all workers of a process, or at the registry for all data planes.

mod bucket;
mod counted;
mod gcra;
mod rule;

pub(crate) use self::counted::{Counted, take};
pub use self::gcra::{Gcra, Taken};
pub use self::rule::RateLimit;
pub(crate) use self::rule::{LimitStore, Rule};
