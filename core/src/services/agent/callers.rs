//! The values of callers. A value is found by the digest of the very JWT that it was given for, so that no other caller
//! gets it.

use std::time::Duration;

use super::answer::Answer;
use super::held::{Held, MAX_FAILURES, PAUSE};
use crate::base::{Cache, Digest, Moment, Pause};
use crate::services::fetch::CallerId;

/// The JWTs whose values a worker keeps. One that was dropped is fetched again.
const MAX_JWTS: usize = 1000;
/// The JWTs of one principal among them, so that no caller with many of them pushes out the values of others.
const MAX_JWTS_PER_PRINCIPAL: usize = 50;

pub(super) struct OfCallers {
    kept: Cache<OfCaller>,
    /// The pause of the service itself, for the calls of all callers.
    outage: Pause,
    /// The principal of the last call that the service could not serve. The failures of a single one are no outage.
    last_failed: Option<Digest>,
    /// The number of the last value.
    last: u32,
}

struct OfCaller {
    principal: Digest,
    held: Held,
}

impl Default for OfCallers {
    fn default() -> Self {
        Self { kept: Cache::new(MAX_JWTS), outage: Pause::at_most(PAUSE), last_failed: None, last: 0 }
    }
}

impl OfCallers {
    /// Tells whether the service is asked at all.
    pub(super) fn may_call(&self, now: Moment) -> bool {
        self.outage.is_over(now)
    }

    pub(super) fn of(&mut self, caller: &CallerId) -> Option<&mut Held> {
        self.kept.get_mut(&caller.jwt).map(|kept| &mut kept.held)
    }

    /// Returns the holder of the value with this number. Only a refusal asks, so a search does.
    pub(super) fn of_number(&mut self, number: u32) -> Option<&mut Held> {
        self.kept.values_mut().map(|kept| &mut kept.held).find(|held| held.has_number(number))
    }

    pub(super) fn take(&mut self, caller: &CallerId, answer: Answer, refresh_before: Duration, now: Moment) {
        let mut held = Held::default();
        self.last = self.last.checked_add(1).unwrap_or(1);
        held.take(answer, self.last, refresh_before, now);
        self.keep(caller, held);
        self.outage.succeed();
        self.last_failed = None;
    }

    /// Notes that a call failed. Several principals whose calls the service could not serve, with no success in between,
    /// are an outage; a call that was refused concerns its caller only.
    pub(super) fn fail(&mut self, caller: &CallerId, is_outage: bool, now: Moment) {
        if is_outage && self.last_failed.replace(caller.principal) != Some(caller.principal) {
            self.outage.fail();
            if self.outage.failures() >= MAX_FAILURES {
                self.outage.begin_jittered(PAUSE, now);
            }
        }
        if let Some(held) = self.of(caller) {
            return held.fail(now);
        }
        let mut held = Held::default();
        held.fail(now);
        self.keep(caller, held);
    }

    fn keep(&mut self, caller: &CallerId, held: Held) {
        let principal = caller.principal;
        let is_beside = |kept: &OfCaller| kept.principal == principal;
        self.kept.insert_within(caller.jwt, OfCaller { principal, held }, MAX_JWTS_PER_PRINCIPAL, is_beside);
    }
}
