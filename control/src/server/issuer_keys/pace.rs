//! A limit on fetches of keys, independent of the requests that arrive.

use std::time::{Duration, Instant};

/// The times that determine when the next fetch may start.
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
    /// A refetch ended within the cooldown: its result applies.
    TooSoon,
    /// A fetch failed within the cooldown.
    Failing,
}

/// The cooldown after a failed fetch while there are no keys.
const RETRY: Duration = Duration::from_secs(1);

impl Pace {
    /// Returns a limit of one refetch per `cooldown` for unknown keys. While there are keys, `cooldown` also follows a
    /// failed fetch.
    pub(super) fn new(cooldown: Duration) -> Self {
        Self { cooldown, failed_at: None, refetched_at: None }
    }

    /// Decides on a fetch of a missing or old set.
    pub(super) fn fetch(&self, has_keys: bool, now: Instant) -> Start {
        let rest = if has_keys { self.cooldown } else { RETRY };
        if is_within(self.failed_at, rest, now) { Start::Failing } else { Start::Now }
    }

    /// Decides on a refetch because of a key that the set lacks, and counts it if it may start.
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
