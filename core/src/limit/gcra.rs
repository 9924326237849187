//! The generic cell rate algorithm: a rate limit as one number per key.
//!
//! The number is the theoretical arrival time, in nanoseconds: the time of the next request if requests came evenly. A
//! request is allowed while that time is no further ahead than the burst. So a silent key may spend all its requests at
//! once, and then gets one back per interval.

use super::rule::RateLimit;

const NANOSECONDS: i64 = 1_000_000_000;

/// A limit in the algorithm's terms. `burst` is a multiple of `interval`, so that a full budget is exact.
#[derive(Clone, Copy, Debug)]
pub struct Gcra {
    limit: u32,
    window: u32,
    interval: i64,
    burst: i64,
}

/// The outcome of taking one request from a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Set where the request may go on.
    pub allowed: bool,
    /// The number of requests in a full budget.
    pub limit: u32,
    /// The number of requests that are left.
    pub remaining: u32,
    /// The seconds until a request is left again; 0 while there is one.
    pub retry_after: u32,
    /// The seconds until the budget is full.
    pub reset: u32,
    /// The seconds in which a spent budget becomes full.
    pub window: u32,
}

impl Gcra {
    /// Returns the algorithm for a limit.
    pub fn new(limit: RateLimit) -> Self {
        let interval = i64::from(limit.seconds()) * NANOSECONDS / i64::from(limit.requests());
        Self {
            limit: limit.requests(),
            window: limit.seconds(),
            interval,
            burst: interval * i64::from(limit.requests()),
        }
    }

    /// Takes one request from a budget. Returns the theoretical arrival time after it, and the outcome.
    ///
    /// `tat` is the time before it, `None` for a full budget. Times are in nanoseconds since 1970.
    #[must_use]
    pub fn take(self, tat: Option<i64>, now: i64) -> (i64, Taken) {
        // A time in the past means a full budget. A time beyond the burst is from a clock that was put back, or from a
        // higher limit. No token is refused for longer than the present limit says.
        let furthest = now.saturating_add(self.burst);
        let tat = tat.unwrap_or(now).clamp(now, furthest);
        let after = tat.saturating_add(self.interval);
        if after <= furthest {
            (after, self.answer(true, after.saturating_sub(now)))
        } else {
            (tat, self.answer(false, tat.saturating_sub(now)))
        }
    }

    /// Gives one request back, and returns the theoretical arrival time after that.
    #[must_use]
    pub(crate) fn give_back(self, tat: i64) -> i64 {
        tat.saturating_sub(self.interval)
    }

    /// Returns the outcome, where the theoretical arrival time is `ahead` nanoseconds in the future.
    fn answer(self, allowed: bool, ahead: i64) -> Taken {
        let free = self.burst - ahead;
        Taken {
            allowed,
            limit: self.limit,
            remaining: u32::try_from(free / self.interval).unwrap_or(self.limit),
            retry_after: seconds_up((self.interval - free).max(0)),
            reset: seconds_up(ahead),
            window: self.window,
        }
    }
}

fn seconds_up(nanoseconds: i64) -> u32 {
    u32::try_from((nanoseconds + NANOSECONDS - 1) / NANOSECONDS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000 * NANOSECONDS;

    #[test]
    fn a_budget_is_spent_and_comes_back() {
        let gcra = Gcra::new(RateLimit::new(3, 60).unwrap());
        let mut tat = None;
        for expect in
            [(true, 2, 0, 20), (true, 1, 0, 40), (true, 0, 20, 60), (false, 0, 20, 60), (false, 0, 20, 60)]
        {
            let (after, taken) = gcra.take(tat, NOW);
            assert_eq!((taken.allowed, taken.remaining, taken.retry_after, taken.reset), expect);
            tat = Some(after);
        }
        let (_, early) = gcra.take(tat, NOW + 20 * NANOSECONDS - 1);
        assert_eq!((early.allowed, early.retry_after), (false, 1));
        let (_, again) = gcra.take(tat, NOW + 20 * NANOSECONDS);
        assert_eq!((again.allowed, again.remaining), (true, 0));
        let (_, full) = gcra.take(tat, NOW + 60 * NANOSECONDS);
        assert_eq!((full.allowed, full.remaining), (true, 2));
    }

    #[test]
    fn what_is_given_back_can_be_taken_once_more() {
        let gcra = Gcra::new(RateLimit::new(3, 60).unwrap());
        let spent = (0..3).fold(None, |tat, _| Some(gcra.take(tat, NOW).0)).unwrap();
        let (after, again) = gcra.take(Some(gcra.give_back(spent)), NOW);
        assert_eq!((after, again.allowed, again.remaining), (spent, true, 0));
    }

    #[test]
    fn a_limit_that_does_not_divide_the_time_is_still_exact() {
        for (requests, seconds) in [(7, 60), (999_983, 1), (1_000_000, 1), (1, 86_400)] {
            let gcra = Gcra::new(RateLimit::new(requests, seconds).unwrap());
            let mut tat = None;
            for _ in 0..requests {
                let (after, taken) = gcra.take(tat, NOW);
                assert!(taken.allowed);
                tat = Some(after);
            }
            assert!(!gcra.take(tat, NOW).1.allowed);
        }
    }

    #[test]
    fn a_clock_that_was_put_back_keeps_nobody_out_for_longer_than_the_limit() {
        let gcra = Gcra::new(RateLimit::new(3, 60).unwrap());
        let (_, taken) = gcra.take(Some(NOW + 3600 * NANOSECONDS), NOW);
        assert_eq!((taken.allowed, taken.remaining, taken.retry_after, taken.reset), (false, 0, 20, 60));
    }
}
