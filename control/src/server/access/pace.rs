//! A limit on fetches of keys, whatever arrives.

use std::time::{Duration, Instant};

/// The times that decide when a fetch may begin.
#[derive(Debug)]
pub(super) struct Pace {
    cooldown: Duration,
    failed_at: Option<Instant>,
    refetched_at: Option<Instant>,
}

/// The decision on a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Now,
    /// It was done a moment ago, and what came of it counts.
    TooSoon,
    /// It failed a moment ago.
    Failing,
}

/// The pause after a failed fetch while there are no keys at all.
const RETRY: Duration = Duration::from_secs(1);

impl Pace {
    /// Allows at most one fetch per `cooldown` because of unknown keys, and after one that failed while there are
    /// others.
    pub(super) fn new(cooldown: Duration) -> Self {
        Self { cooldown, failed_at: None, refetched_at: None }
    }

    /// Asks for a fetch of a set that is missing or old.
    pub(super) fn fetch(&self, has_keys: bool, now: Instant) -> Start {
        let rest = if has_keys { self.cooldown } else { RETRY };
        if is_within(self.failed_at, rest, now) { Start::Failing } else { Start::Now }
    }

    /// Asks for a fetch because a key is not in the set.
    pub(super) fn refetch(&mut self, now: Instant) -> Start {
        match self.fetch(true, now) {
            Start::Now if is_within(self.refetched_at, self.cooldown, now) => Start::TooSoon,
            Start::Now => {
                self.refetched_at = Some(now);
                Start::Now
            }
            start => start,
        }
    }

    pub(super) fn ended(&mut self, is_success: bool, now: Instant) {
        self.failed_at = (!is_success).then_some(now);
    }
}

fn is_within(at: Option<Instant>, time: Duration, now: Instant) -> bool {
    at.is_some_and(|at| now.saturating_duration_since(at) < time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_lead_to_one_fetch_per_cooldown() {
        let (mut pace, begin) = (Pace::new(Duration::from_secs(30)), Instant::now());
        let mut fetches = Vec::new();
        for second in 0..100 {
            let now = begin + Duration::from_secs(second);
            if pace.refetch(now) == Start::Now {
                pace.ended(true, now);
                fetches.push(second);
            }
            assert_eq!(pace.fetch(true, now), Start::Now, "an old set is fetched anew all the same");
        }
        assert_eq!(fetches, [0, 30, 60, 90]);
    }

    #[test]
    fn a_fetch_that_failed_is_repeated_soon_without_keys_and_after_the_cooldown_with_them() {
        let (mut pace, begin) = (Pace::new(Duration::from_secs(30)), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        pace.ended(false, begin);
        assert_eq!(pace.fetch(false, begin), Start::Failing);
        assert_eq!(pace.fetch(false, at(1)), Start::Now);
        assert_eq!(pace.fetch(true, at(29)), Start::Failing);
        assert_eq!(pace.refetch(at(29)), Start::Failing);
        assert_eq!(pace.fetch(true, at(30)), Start::Now);
        pace.ended(true, at(30));
        assert_eq!(pace.fetch(true, at(30)), Start::Now);
        assert_eq!(pace.refetch(at(30)), Start::Now, "what failed counted as no refetch");
    }
}
