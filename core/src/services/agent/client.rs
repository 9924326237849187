//! An agent: an upstream credential that is fetched, for every caller or for each caller on its own.
//!
//! A value is renewed ahead of its expiry, and used until shortly before it even if the renewal fails. The value stays
//! in the memory of the worker that fetched it, because other plugins can read what workers share. An agent that fails
//! several times in a row gets no call for a while.
//!
//! A caller's value is found by the digest of the very JWT that it was given for, so that no other caller gets it.

use std::cell::RefCell;
use std::time::Duration;

use super::answer::{self, Answer};
use super::call::Calls;
use super::held::{Freshness, Held, MAX_FAILURES, PAUSE, Value};
use crate::base::{Cache, Digest, Moment, Pause};
use crate::host::Environment;
use crate::policy::{HttpSource, PolicyError, Subject as For};
use crate::services::fetch::{AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, ServiceId, Subject};
use crate::services::resolution::{Accepted, FetchResults, Lookup, Resolution};

/// The callers whose values a worker keeps. One that was dropped is fetched again.
const MAX_CALLERS: usize = 1000;

pub(crate) struct Agent {
    id: ServiceId,
    /// The place in the policy that asked first.
    path: String,
    calls: Calls,
    values: RefCell<Values>,
}

/// The values of an agent.
enum Values {
    /// One value for every caller.
    DataPlane(Held),
    /// A value for each caller.
    OfCallers(OfCallers),
}

struct OfCallers {
    held: Cache<Held>,
    /// The pause of the service itself, for the calls of all callers.
    outage: Pause,
    /// The caller of the last call that the service could not serve. A single caller's failures are no outage.
    last_failed: Option<Digest>,
    /// The number of the last value.
    last: u32,
}

/// The caller of a request, by its verified JWT.
#[derive(Clone, Copy)]
pub(crate) struct CallerToken<'r> {
    pub(crate) jwt: &'r [u8],
    pub(crate) digest: Digest,
}

impl Agent {
    /// Returns an agent that has no value yet. `path` is the source's place in the policy. The error is its
    /// credential's.
    pub(crate) fn new(
        id: ServiceId,
        source: &HttpSource,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<Self, PolicyError> {
        let values = match source.subject {
            For::DataPlane => Values::DataPlane(Held::default()),
            For::Caller => Values::OfCallers(OfCallers::default()),
        };
        let calls = Calls::new(source, path, environment)?;
        Ok(Self { id, path: path.to_owned(), calls, values: RefCell::new(values) })
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Returns whether another policy's source is this very agent.
    pub(crate) fn is_of(&self, source: &HttpSource) -> bool {
        self.calls.source == *source
    }

    /// Returns whether each caller has a value of its own.
    pub(crate) fn is_of_callers(&self) -> bool {
        self.calls.source.subject == For::Caller
    }

    /// Returns the value for this caller. A value that is about to expire comes with the call that renews it. A caller
    /// without a JWT has no value of its own.
    pub(crate) fn find(
        &self,
        caller: Option<CallerToken<'_>>,
        results: &FetchResults,
        now: Moment,
    ) -> Lookup<Value> {
        let Ok(mut values) = self.values.try_borrow_mut() else { return Lookup::Unavailable };
        let timeout = self.calls.source.timeout;
        match (&mut *values, caller) {
            (Values::DataPlane(held), _) => held.find(results, now, timeout, || self.fetch(None, now)),
            (Values::OfCallers(callers), Some(caller)) => {
                let may_call = callers.outage.is_over(now);
                let call = || if may_call { self.fetch(Some(caller), now) } else { None };
                match callers.held.get_mut(&caller.digest) {
                    Some(held) => held.find(results, now, timeout, call),
                    None => Held::default().find(results, now, timeout, call),
                }
            }
            (Values::OfCallers(_), None) => Lookup::Unavailable,
        }
    }

    /// Returns the call that is due, even where no request needs the value yet.
    pub(crate) fn due(&self, now: Moment) -> Option<Fetch> {
        match self.find(None, &FetchResults::default(), now) {
            Lookup::Ready(_, renewal) => renewal,
            Lookup::Fetch(fetch) => Some(*fetch),
            Lookup::Unavailable => None,
        }
    }

    /// Notes that a call that is due was not made after all.
    pub(crate) fn abandon(&self, subject: &Subject, now: Moment) {
        if let Ok(mut values) = self.values.try_borrow_mut()
            && let Some(held) = values.of(subject)
        {
            held.abandon(now);
        }
    }

    /// Takes in the outcome of a call. The notes are for the log, and hold nothing of the value.
    pub(crate) fn accept(
        &self,
        subject: &Subject,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        now: Moment,
    ) -> Accepted {
        let Ok(mut values) = self.values.try_borrow_mut() else {
            return Accepted::failed();
        };
        let expected = match subject {
            Subject::CallerCredential(_, expected) => Some(expected.clone()),
            _ => self.calls.expected(None),
        };
        let expected = expected.unwrap_or_default();
        let read = match answer {
            FetchAnswer::Response { status: 200, body } => {
                answer::read(body, &self.calls.source, &expected, as_of.at, now)
                    .map_err(|fault| (FetchOutcome::Malformed, Some(fault.to_string())))
            }
            FetchAnswer::Response { status, .. } => {
                Err((FetchOutcome::Unavailable, Some(format!("the answer has status {status}"))))
            }
            FetchAnswer::Failed => Err((FetchOutcome::Failed, None)),
        };
        match read {
            Ok(answer) => {
                values.take(subject, answer, self.calls.source.refresh_before, now);
                Accepted::new(FetchOutcome::Found, Resolution::Refreshed)
            }
            Err((outcome, note)) => {
                let is_outage = match answer {
                    FetchAnswer::Response { status, .. } => matches!(status, 429 | 500..),
                    FetchAnswer::Failed => true,
                };
                values.fail(subject, is_outage, now);
                let note = note.map(|note| format!("`{}.http`: {note}", self.path));
                Accepted { outcome, resolution: Resolution::Unavailable, notes: note.into_iter().collect() }
            }
        }
    }

    /// Notes that the upstream refused a value: there may be a newer one.
    pub(crate) fn refused(&self, number: u32, fetched_at: Moment, now: Moment) {
        if let Ok(mut values) = self.values.try_borrow_mut()
            && let Some(held) = values.of_number(number)
        {
            held.refused(fetched_at, now);
        }
    }

    /// Returns whether a value that was fetched then is the newest there is.
    pub(crate) fn is_current(&self, number: u32, fetched_at: Moment) -> bool {
        let Ok(mut values) = self.values.try_borrow_mut() else { return false };
        values.of_number(number).is_some_and(|held| held.is_current(fetched_at))
    }

    /// Returns the freshness of the value; `None` where each caller has its own.
    pub(crate) fn freshness(&self, now: Moment) -> Option<Freshness> {
        match &*self.values.try_borrow().ok()? {
            Values::DataPlane(held) => Some(held.freshness(now)),
            Values::OfCallers(_) => None,
        }
    }

    fn fetch(&self, caller: Option<CallerToken<'_>>, now: Moment) -> Option<Fetch> {
        let jwt = caller.map(|caller| caller.jwt);
        let request = self.calls.request(jwt)?;
        let subject = match caller {
            Some(caller) => Subject::CallerCredential(caller.digest, self.calls.expected(jwt)?),
            None => Subject::Credential,
        };
        Some(Fetch::new(FetchKey::new(self.id, subject), request, AsOf::moment(now)))
    }
}

impl Values {
    fn of(&mut self, subject: &Subject) -> Option<&mut Held> {
        match (self, subject) {
            (Self::DataPlane(held), _) => Some(held),
            (Self::OfCallers(callers), Subject::CallerCredential(caller, _)) => callers.held.get_mut(caller),
            (Self::OfCallers(_), _) => None,
        }
    }

    /// Returns the holder of the value with this number. Only a refusal asks, so a search does.
    fn of_number(&mut self, number: u32) -> Option<&mut Held> {
        match self {
            Self::DataPlane(held) => Some(held),
            Self::OfCallers(callers) => callers.held.values_mut().find(|held| held.has_number(number)),
        }
    }

    fn take(&mut self, subject: &Subject, answer: Answer, refresh_before: Duration, now: Moment) {
        match (self, subject) {
            (Self::DataPlane(held), _) => held.take(answer, 0, refresh_before, now),
            (Self::OfCallers(callers), Subject::CallerCredential(caller, _)) => {
                let mut held = Held::default();
                callers.last = callers.last.checked_add(1).unwrap_or(1);
                held.take(answer, callers.last, refresh_before, now);
                callers.held.insert(*caller, held);
                callers.outage.succeed();
                callers.last_failed = None;
            }
            (Self::OfCallers(_), _) => {}
        }
    }

    fn fail(&mut self, subject: &Subject, is_outage: bool, now: Moment) {
        match (self, subject) {
            (Self::DataPlane(held), _) => held.fail(now),
            (Self::OfCallers(callers), Subject::CallerCredential(caller, _)) => {
                callers.fail(*caller, is_outage, now);
            }
            (Self::OfCallers(_), _) => {}
        }
    }
}

impl Default for OfCallers {
    fn default() -> Self {
        Self { held: Cache::new(MAX_CALLERS), outage: Pause::at_most(PAUSE), last_failed: None, last: 0 }
    }
}

impl OfCallers {
    /// Notes that a call failed. Several callers whose calls the service could not serve, with no success in between, are
    /// an outage; a call that was refused concerns its caller only.
    fn fail(&mut self, caller: Digest, is_outage: bool, now: Moment) {
        if is_outage && self.last_failed.replace(caller) != Some(caller) {
            self.outage.fail();
            if self.outage.failures() >= MAX_FAILURES {
                self.outage.begin_jittered(PAUSE, now);
            }
        }
        if let Some(held) = self.held.get_mut(&caller) {
            return held.fail(now);
        }
        let mut held = Held::default();
        held.fail(now);
        self.held.insert(caller, held);
    }
}
