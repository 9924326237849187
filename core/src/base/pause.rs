//! Pauses between attempts, and the failures in a row that make them longer.

use std::time::Duration;

use super::time::Moment;

/// A moment before which something is not tried again.
///
/// A clock that was put back never prolongs a pause beyond twice the longest one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    until: Moment,
    failures: u32,
    longest: Duration,
}

impl Pause {
    /// Returns a pause that is over. `longest` is the longest span that its owner begins.
    pub(crate) const fn at_most(longest: Duration) -> Self {
        Self { until: Moment(0), failures: 0, longest }
    }

    /// Returns the end of the pause.
    pub(crate) fn until(&self) -> Moment {
        self.until
    }

    /// Returns the number of failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Tells whether the pause is over.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        self.until <= now || self.until > now.after(self.longest * 2)
    }

    /// Begins a pause of exactly this length.
    pub(crate) fn begin(&mut self, span: Duration, now: Moment) {
        self.until = now.after(span);
    }

    /// Begins a pause that is up to an eighth shorter, so that workers do not retry at the same time.
    pub(crate) fn begin_jittered(&mut self, span: Duration, now: Moment) {
        self.begin(now.jittered(span), now);
    }

    /// Ends the pause.
    pub(crate) fn end(&mut self, now: Moment) {
        self.until = now;
    }

    /// Notes a success: the next failure is the first one.
    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure.
    pub(crate) fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

/// Returns the pause after a failure: `first`, doubled for each failure in a row before it, at most `longest`.
pub(crate) fn doubled(first: Duration, failures_before: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures_before.min(16))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);
    const MAX_PAUSE: Duration = Duration::from_mins(1);

    #[test]
    fn a_clock_that_is_put_back_ends_a_pause() {
        let mut pause = Pause::at_most(MAX_PAUSE);
        assert!(pause.is_over(NOW));
        pause.begin(MAX_PAUSE, NOW);
        assert!(!pause.is_over(NOW) && pause.is_over(NOW.after(MAX_PAUSE)));
        assert!(pause.is_over(Moment(NOW.0 - 3_600_000_000_000)));
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let seconds = |failures| doubled(Duration::from_secs(1), failures, MAX_PAUSE).as_secs();
        assert_eq!([0, 1, 2, 5, 6, 40].map(seconds), [1, 2, 4, 32, 60, 60]);
    }
}
