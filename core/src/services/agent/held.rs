//! A value that an agent gave: how long it is used, when it is renewed, and the pause after failures.

use std::time::Duration;

use super::answer::Answer;
use super::given::Given;
use crate::base::{Moment, Pause};
use crate::services::fetch::{Fetch, ServiceId};
use crate::services::resolution::{FetchResults, Lookup};

/// The failures in a row after which the pauses are long.
pub(super) const MAX_FAILURES: u32 = 3;
/// The pause after that many failures.
pub(super) const PAUSE: Duration = Duration::from_secs(30);
/// The pause after a failure before that.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// The time before the end of a value at which its use ends; at most a tenth of its life. A request takes time to
/// arrive.
const MARGIN: Duration = Duration::from_secs(1);
/// The least time before the renewal of a value, however short its life.
const MIN_USE: Duration = Duration::from_millis(250);
/// The least age of a value that is renewed because an upstream refused it.
const MIN_REFUSED_AGE: Duration = Duration::from_secs(10);

/// A value, if there is one, and the failures since.
pub(super) struct Held {
    current: Option<Current>,
    pause: Pause,
}

impl Default for Held {
    fn default() -> Self {
        Self { current: None, pause: Pause::at_most(PAUSE) }
    }
}

struct Current {
    value: Value,
    refresh_at: Moment,
    /// The moment from which the value is not used.
    ends_at: Moment,
    expires_at: Moment,
    /// The furthest that the end may be ahead of any moment.
    at_most: Duration,
}

/// A value, and the moment at which it was fetched.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) given: Given,
    pub(crate) fetched_at: Moment,
    /// The number of the value among those of callers; 0 for a value of every caller.
    pub(crate) number: u32,
}

/// The freshness of a value, for people.
pub(crate) struct Freshness {
    pub(crate) fetched_at: Option<Moment>,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) is_usable: bool,
    pub(crate) failures: u32,
    pub(crate) paused_until: Option<Moment>,
}

impl Held {
    /// Returns the value. A value that is about to expire comes with the call that renews it, which takes at most
    /// `timeout`. There is no call where the caller's JWT has not what the call needs, or the service rests. A call to
    /// another service than `own` is one that has to be made before.
    pub(super) fn find(
        &mut self,
        own: ServiceId,
        results: &FetchResults,
        now: Moment,
        timeout: Duration,
        call: impl FnOnce() -> Option<Fetch>,
    ) -> Lookup<Value> {
        let may_call = self.pause.is_over(now);
        match &mut self.current {
            Some(current) if current.is_usable(now) => {
                let renewal = if may_call && current.is_due(now) { call() } else { None };
                if let Some(renewal) = &renewal {
                    // One call at a time. If its answer never comes, another call is due.
                    let pause = if renewal.key.service == own { timeout } else { Duration::ZERO };
                    current.refresh_at = now.after(pause + SHORT_PAUSE);
                }
                Lookup::Ready(current.value.clone(), renewal)
            }
            _ if may_call => call().map_or(Lookup::Unavailable, |fetch| results.fetch_once(fetch)),
            _ => Lookup::Unavailable,
        }
    }

    /// Notes that a call that is due was not made after all.
    pub(super) fn abandon(&mut self, now: Moment) {
        if let Some(current) = &mut self.current {
            current.refresh_at = now;
        }
    }

    /// Takes a fresh value. It replaces the one before even if that would last longer: that may have been revoked.
    pub(super) fn take(&mut self, answer: Answer, number: u32, refresh_before: Duration, now: Moment) {
        *self = Self { current: Some(Current::new(answer, number, refresh_before, now)), ..Self::default() };
    }

    /// Notes that a call failed.
    pub(super) fn fail(&mut self, now: Moment) {
        self.pause.fail();
        let span = if self.pause.failures() < MAX_FAILURES { SHORT_PAUSE } else { PAUSE };
        self.pause.begin_jittered(span, now);
        // The renewal stays due, once the pause is over.
        self.abandon(now);
    }

    /// Notes that the upstream refused a value: there may be a newer one.
    pub(super) fn refused(&mut self, fetched_at: Moment, now: Moment) {
        if let Some(current) = &mut self.current
            && current.value.fetched_at == fetched_at
            && !now.is_within(MIN_REFUSED_AGE, fetched_at)
        {
            current.refresh_at = now;
        }
    }

    /// Notes that a service refused a call in which the value stands, whichever value it was.
    pub(super) fn doubt(&mut self, now: Moment) {
        if let Some(fetched_at) = self.current.as_ref().map(|current| current.value.fetched_at) {
            self.refused(fetched_at, now);
        }
    }

    /// Returns whether this is the value of that number.
    pub(super) fn has_number(&self, number: u32) -> bool {
        self.current.as_ref().is_some_and(|it| it.value.number == number)
    }

    /// Returns whether a value that was fetched then is the newest there is.
    pub(super) fn is_current(&self, fetched_at: Moment) -> bool {
        self.current.as_ref().is_some_and(|it| it.value.fetched_at == fetched_at)
    }

    pub(super) fn freshness(&self, now: Moment) -> Freshness {
        let current = self.current.as_ref();
        Freshness {
            fetched_at: current.map(|current| current.value.fetched_at),
            expires_at: current.map(|current| current.expires_at),
            is_usable: current.is_some_and(|current| current.is_usable(now)),
            failures: self.pause.failures(),
            paused_until: Some(self.pause.until()).filter(|_| !self.pause.is_over(now)),
        }
    }
}

impl Current {
    fn new(answer: Answer, number: u32, refresh_before: Duration, now: Moment) -> Self {
        let Answer { given, expires_at, at_most } = answer;
        let life = Duration::from_nanos(expires_at.0.saturating_sub(now.0));
        // Where values are short-lived, half of their life is early enough.
        let used_for = life.saturating_sub(refresh_before).max(life / 2);
        let used_for = now.jittered(used_for).max(MIN_USE);
        Self {
            value: Value { given, fetched_at: now, number },
            refresh_at: now.after(used_for),
            ends_at: now.after(life.saturating_sub(MARGIN.min(life / 10))),
            expires_at,
            at_most,
        }
    }

    fn is_usable(&self, now: Moment) -> bool {
        // The second condition is for a clock that was put back.
        now < self.ends_at && self.expires_at <= now.after(self.at_most + MARGIN)
    }

    fn is_due(&self, now: Moment) -> bool {
        // A value from the future is one that was fetched before the clock was put back.
        self.refresh_at <= now || now < self.value.fetched_at
    }
}
