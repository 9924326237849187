//! The generic cell rate algorithm: a rate limit as one number per key.
//!
//! The number is the theoretical arrival time, in nanoseconds: when the next request would come if requests came
//! evenly. A request is allowed while that is no further ahead than the burst. So a key that was silent may spend
//! all its requests at once and then gets one back per interval.

use serde::Serialize;

use super::rate_limit::RateLimit;

const NANOSECONDS: i64 = 1_000_000_000;

/// A limit in the algorithm's terms. `burst` is a multiple of `interval`, so that a full budget is exact.
#[derive(Clone, Copy)]
pub(super) struct Gcra {
    limit: u32,
    pub(super) interval: i64,
    pub(super) burst: i64,
}

/// What became of asking for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Whether the request may go on.
    pub allowed: bool,
    /// How many requests there are in all.
    pub limit: u32,
    /// How many are left.
    pub remaining: u32,
    /// In how many seconds there is one again; 0 while there is one.
    pub retry_after: u32,
    /// In how many seconds all are there again.
    pub reset: u32,
}

impl Gcra {
    pub(super) fn new(limit: RateLimit) -> Self {
        let interval = i64::from(limit.seconds()) * NANOSECONDS / i64::from(limit.requests());
        Self { limit: limit.requests(), interval, burst: interval * i64::from(limit.requests()) }
    }

    /// The answer for a theoretical arrival time after the request was counted, or not counted.
    pub(super) fn answer(self, allowed: bool, tat: i64, now: i64) -> Taken {
        let ahead = tat.saturating_sub(now).clamp(0, self.burst);
        let free = self.burst - ahead;
        Taken {
            allowed,
            limit: self.limit,
            remaining: u32::try_from(free / self.interval).unwrap_or(self.limit),
            retry_after: seconds_up((self.interval - free).max(0)),
            reset: seconds_up(ahead),
        }
    }
}

fn seconds_up(nanoseconds: i64) -> u32 {
    u32::try_from((nanoseconds + NANOSECONDS - 1) / NANOSECONDS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_spent_and_comes_back() {
        let gcra = Gcra::new(RateLimit::new(3, 60).unwrap());
        assert_eq!(gcra.burst, 60 * NANOSECONDS);
        let full = gcra.answer(true, 0, NANOSECONDS);
        assert_eq!((full.remaining, full.retry_after, full.reset), (3, 0, 0));
        let empty = gcra.answer(false, 61 * NANOSECONDS, NANOSECONDS);
        assert_eq!((empty.remaining, empty.retry_after, empty.reset), (0, 20, 60));
        let one = gcra.answer(true, 41 * NANOSECONDS, NANOSECONDS);
        assert_eq!((one.remaining, one.retry_after, one.reset), (1, 0, 40));
    }

    #[test]
    fn a_limit_that_does_not_divide_the_time_is_still_exact() {
        let gcra = Gcra::new(RateLimit::new(7, 60).unwrap());
        assert_eq!(gcra.burst, gcra.interval * 7);
        assert!(gcra.burst <= 60 * NANOSECONDS);
    }

    #[test]
    fn a_clock_that_was_put_back_keeps_nobody_out_for_longer_than_the_limit() {
        let gcra = Gcra::new(RateLimit::new(3, 60).unwrap());
        let answer = gcra.answer(false, 3600 * NANOSECONDS, 0);
        assert_eq!((answer.remaining, answer.retry_after, answer.reset), (0, 20, 60));
    }
}
