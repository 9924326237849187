//! The rate limit of a token, and the rule of a policy.

use std::time::Duration;

const MAX_REQUESTS: u32 = 1_000_000;
const MAX_PERIOD_SECONDS: u32 = 86_400;

/// A number of requests in a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RateLimit {
    requests: u32,
    seconds: u32,
}

impl RateLimit {
    /// Returns a limit of 1 to 1,000,000 requests in 1 second to 1 day; `None` for anything else.
    pub fn new(requests: u32, seconds: u32) -> Option<Self> {
        let fits = (1..=MAX_REQUESTS).contains(&requests) && (1..=MAX_PERIOD_SECONDS).contains(&seconds);
        fits.then_some(Self { requests, seconds })
    }

    /// Returns a limit with a duration, which must be whole seconds; `None` for anything else.
    pub(crate) fn per(requests: u64, per: Duration) -> Option<Self> {
        let seconds = u32::try_from(per.as_secs()).ok().filter(|_| per.subsec_nanos() == 0)?;
        Self::new(u32::try_from(requests).ok()?, seconds)
    }

    /// Returns the number of requests.
    pub fn requests(self) -> u32 {
        self.requests
    }

    /// Returns the number of seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }
}

/// The rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) limit: RateLimit,
    /// Set where requests pass while they cannot be counted.
    pub(crate) failure_mode_allow: bool,
    pub(crate) store: LimitStore,
}

/// The keeper of budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitStore {
    /// The memory that the workers of a process share.
    Memory,
    /// The registry, for all data planes together.
    Registry,
}
