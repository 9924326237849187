//! A breaker for a registry that does not answer: after some failures in a row, one call per pause probes it.

use std::time::Duration;

use crate::base::{Moment, Pause};

/// The failures in a row that open the breaker.
const MAX_FAILURES: u32 = 5;
/// The pause between probes. A registry that is back is noticed within a second.
const PROBE_INTERVAL: Duration = Duration::from_millis(900);

pub(super) struct Breaker(Pause);

impl Default for Breaker {
    fn default() -> Self {
        Self(Pause::at_most(PROBE_INTERVAL))
    }
}

impl Breaker {
    /// Tells whether a call might be made now.
    pub(super) fn is_ready(&self, now: Moment) -> bool {
        !self.is_open() || self.0.is_over(now)
    }

    /// Tells whether a call is made now. A probe is the only call until the pause is over.
    pub(super) fn admit(&mut self, now: Moment) -> bool {
        let is_ready = self.is_ready(now);
        if is_ready && self.is_open() {
            self.0.begin_jittered(PROBE_INTERVAL, now);
        }
        is_ready
    }

    pub(super) fn record(&mut self, healthy: bool, now: Moment) {
        if healthy {
            self.0.succeed();
            return;
        }
        self.0.fail();
        if self.0.failures() == MAX_FAILURES {
            self.0.begin_jittered(PROBE_INTERVAL, now);
        }
    }

    fn is_open(&self) -> bool {
        self.0.failures() >= MAX_FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_probes_once_a_pause_and_closes_with_an_answer() {
        let at = |milliseconds: u64| Moment(1_000_000_000_000 + milliseconds * 1_000_000);
        let mut breaker = Breaker::default();
        for _ in 0..4 {
            assert!(breaker.admit(at(0)));
            breaker.record(false, at(0));
        }
        breaker.record(true, at(0));
        for _ in 0..5 {
            assert!(breaker.admit(at(0)));
            breaker.record(false, at(0));
        }
        let admitted = (0..10_000).filter(|milliseconds| breaker.admit(at(*milliseconds))).count();
        assert!((10..=13).contains(&admitted), "{admitted} probes in ten seconds");
        breaker.record(true, at(10_000));
        assert!(breaker.admit(at(10_000)) && breaker.admit(at(10_000)));
    }

    #[test]
    fn a_clock_that_is_put_back_does_not_keep_it_open() {
        let mut breaker = Breaker::default();
        let late = Moment(3_600_000_000_000);
        (0..5).for_each(|_| breaker.record(false, late));
        assert!(breaker.admit(Moment(1_000_000_000)));
    }
}
