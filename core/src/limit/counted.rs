//! Counting a request within its limit.

use super::bucket;
use super::gcra::{Gcra, Taken};
use super::rule::RateLimit;
use crate::base::{Digest, Moment};
use crate::host::Store;

/// The outcome of counting a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// The request has no limit.
    Unlimited,
    /// The request was counted.
    Taken(Taken),
    /// No store could count the request.
    Unknown,
}

/// Takes one request from the budget of a token in shared memory.
pub(crate) fn take(store: &dyn Store, token: &Digest, limit: RateLimit, now: Moment) -> Counted {
    bucket::take(store, token, Gcra::new(limit), now.nanoseconds()).map_or(Counted::Unknown, Counted::Taken)
}
