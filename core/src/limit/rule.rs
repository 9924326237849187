//! The rate limit of a caller, in requests and in tokens, and the rule of a policy.

use std::time::Duration;

use super::token_limit::TokenLimit;

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

    /// Returns the number of requests.
    pub fn requests(self) -> u32 {
        self.requests
    }

    /// Returns the number of seconds.
    pub fn seconds(self) -> u32 {
        self.seconds
    }
}

/// The rate limit of a caller: requests, tokens, or both. The two have one period where they were read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallerLimit {
    /// The requests; `None` where only tokens are limited.
    pub requests: Option<RateLimit>,
    /// The tokens; `None` where only requests are limited.
    pub tokens: Option<TokenLimit>,
}

impl CallerLimit {
    /// Returns a limit of requests, of tokens or of both in a number of seconds; `None` for one of nothing, and for a number
    /// that is out of bounds.
    pub fn new(requests: Option<u32>, tokens: Option<u32>, seconds: u32) -> Option<Self> {
        requests.or(tokens)?;
        let requests = requests.map(|requests| RateLimit::new(requests, seconds).ok_or(OutOfBounds));
        let tokens = tokens.map(|tokens| TokenLimit::new(tokens, seconds).ok_or(OutOfBounds));
        Some(Self { requests: requests.transpose().ok()?, tokens: tokens.transpose().ok()? })
    }

    /// Returns a limit with a duration, which must be whole seconds; `None` for anything else.
    pub(crate) fn per(requests: Option<u64>, tokens: Option<u64>, per: Duration) -> Option<Self> {
        let seconds = u32::try_from(per.as_secs()).ok().filter(|_| per.subsec_nanos() == 0)?;
        // A number that does not fit is out of bounds, too.
        let number = |number: Option<u64>| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX));
        Self::new(number(requests), number(tokens), seconds)
    }

    /// Returns the first of two limits for requests and tokens each.
    pub(crate) fn first(own: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(own), Some(other)) = (own, other) else { return own.or(other) };
        Some(Self { requests: own.requests.or(other.requests), tokens: own.tokens.or(other.tokens) })
    }

    /// Returns the number of seconds in which requests and tokens count.
    pub fn seconds(&self) -> u32 {
        let seconds = self.requests.map(RateLimit::seconds);
        seconds.or(self.tokens.map(TokenLimit::seconds)).unwrap_or_default()
    }
}

struct OutOfBounds;

/// The limits that hold for a caller: its own, else the policy's, for requests and tokens each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) requests: Option<RateLimit>,
    pub(crate) tokens: Option<TokenLimit>,
}

impl InForce {
    /// Returns the limits of a caller. A limit of its own in tokens does not lift that of the policy in requests.
    pub(crate) fn of(own: Option<CallerLimit>, rule: Option<&Rule>) -> Self {
        let limit = CallerLimit::first(own, rule.map(|rule| rule.limit));
        Self {
            requests: limit.and_then(|limit| limit.requests),
            tokens: limit.and_then(|limit| limit.tokens),
        }
    }
}

/// The rule of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) limit: CallerLimit,
    /// Set where requests pass while they cannot be counted.
    pub(crate) failure_mode_allow: bool,
    pub(crate) store: LimitStore,
}

/// The keeper of the budgets in requests. Those in tokens are always in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitStore {
    /// The memory that the workers of a process share.
    Memory,
    /// The registry, for all data planes together.
    Registry,
}
