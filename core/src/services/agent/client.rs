//! An agent: a credential that is fetched, for every caller or for each caller on its own.
//!
//! A value is renewed ahead of its expiry, and used until shortly before it even if the renewal fails. The value stays
//! in the memory of the worker that fetched it, because other plugins can read what workers share. An agent that fails
//! several times in a row gets no call for a while.
//!
//! The values of other agents may stand in a call. They are fetched first, each by its own rules.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{self, Answer};
use super::call::Calls;
use super::callers::OfCallers;
use super::given::{Given, Purpose};
use super::held::{Freshness, Held, Value};
use crate::base::Moment;
use crate::host::Environment;
use crate::policy::{HttpSource, PolicyError, Subject as For};
use crate::secret::ServiceSecret;
use crate::services::fetch::{
    AsOf, CallerId, Fetch, FetchAnswer, FetchKey, FetchOutcome, ServiceId, Subject,
};
use crate::services::resolution::{Accepted, FetchResults, Lookup, Resolution};

pub(crate) struct Agent {
    id: ServiceId,
    /// The place in the policy that asked first.
    path: String,
    purpose: Purpose,
    calls: Calls,
    /// The agents whose values stand in the call, in the order in which they do.
    before: Vec<Rc<Self>>,
    values: RefCell<Values>,
}

/// The values of an agent.
enum Values {
    /// One value for every caller.
    DataPlane(Held),
    /// A value for each caller.
    OfCallers(OfCallers),
}

/// The caller of a request, by its verified JWT.
#[derive(Clone, Copy)]
pub(crate) struct CallerToken<'r> {
    pub(crate) jwt: &'r [u8],
    pub(crate) id: CallerId,
}

impl Agent {
    /// Returns an agent that has no value yet. `before` are the agents whose values stand in its call, in the order of
    /// [`HttpSource::credentials_in_call`]. `path` is the source's place in the policy. The error is its credential's.
    pub(crate) fn new(
        id: ServiceId,
        (source, purpose): (&HttpSource, Purpose),
        before: Vec<Rc<Self>>,
        path: &str,
        environment: &dyn Environment,
    ) -> Result<Self, PolicyError> {
        let values = match source.subject {
            For::DataPlane => Values::DataPlane(Held::default()),
            For::Caller => Values::OfCallers(OfCallers::default()),
        };
        let calls = Calls::new(source, path, environment)?;
        Ok(Self { id, path: path.to_owned(), purpose, calls, before, values: RefCell::new(values) })
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Returns whether another policy's source, with these agents in its call, is this very agent.
    pub(crate) fn is_of(&self, source: &HttpSource, purpose: Purpose, before: &[Rc<Self>]) -> bool {
        let is_same = |(own, other): (&Rc<Self>, &Rc<Self>)| Rc::ptr_eq(own, other);
        self.purpose == purpose
            && self.calls.source == *source
            && self.before.len() == before.len()
            && self.before.iter().zip(before).all(is_same)
    }

    /// Returns whether each caller has a value of its own.
    pub(crate) fn is_of_callers(&self) -> bool {
        self.calls.source.subject == For::Caller
    }

    /// Tells whether the values go upstream.
    pub(crate) fn is_for_upstream(&self) -> bool {
        self.purpose == Purpose::Upstream
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
        let (timeout, own) = (self.calls.source.timeout, self.id);
        match (&mut *values, caller) {
            (Values::DataPlane(held), _) => {
                held.find(own, results, now, timeout, || self.fetch(None, results, now))
            }
            (Values::OfCallers(callers), Some(caller)) => {
                let may_call = callers.may_call(now);
                let call = || if may_call { self.fetch(Some(caller), results, now) } else { None };
                match callers.of(&caller.id) {
                    Some(held) => held.find(own, results, now, timeout, call),
                    None => Held::default().find(own, results, now, timeout, call),
                }
            }
            (Values::OfCallers(_), None) => Lookup::Unavailable,
        }
    }

    /// Returns the call that is due, even where no request needs the value yet. A value that stands in the calls of other
    /// agents is due with those.
    pub(crate) fn due(&self, now: Moment) -> Option<Fetch> {
        if !self.is_for_upstream() {
            return None;
        }
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
                answer::read(body, &self.calls.source, self.purpose, &expected, as_of.at, now)
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
                if let FetchAnswer::Response { status: 400 | 401, .. } = answer {
                    self.before.iter().for_each(|agent| agent.doubt(subject, now));
                }
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

    /// Notes that a service refused a call in which this agent's value stands: the value may have been revoked.
    fn doubt(&self, subject: &Subject, now: Moment) {
        if let Ok(mut values) = self.values.try_borrow_mut()
            && let Some(held) = values.of(subject)
        {
            held.doubt(now);
        }
    }

    /// Returns the call for the value, or one that has to be made before.
    fn fetch(&self, caller: Option<CallerToken<'_>>, results: &FetchResults, now: Moment) -> Option<Fetch> {
        let mut fetched: Vec<Rc<ServiceSecret>> = Vec::new();
        for agent in &self.before {
            match agent.find(caller, results, now) {
                Lookup::Ready(Value { given: Given::Calls(secret), .. }, None) => fetched.push(secret),
                // A value that is due may be one that was refused.
                Lookup::Ready(_, renewal) => return renewal,
                Lookup::Fetch(fetch) => return Some(*fetch),
                Lookup::Unavailable => return None,
            }
        }
        let jwt = caller.map(|caller| caller.jwt);
        let request = self.calls.request(jwt, &fetched)?;
        let subject = match caller {
            Some(caller) => Subject::CallerCredential(Box::new(caller.id), self.calls.expected(jwt)?),
            None => Subject::Credential,
        };
        Some(Fetch::new(FetchKey::new(self.id, subject), request, AsOf::moment(now)))
    }
}

impl Values {
    fn of(&mut self, subject: &Subject) -> Option<&mut Held> {
        match (self, subject) {
            (Self::DataPlane(held), _) => Some(held),
            (Self::OfCallers(callers), Subject::CallerCredential(caller, _)) => callers.of(caller),
            (Self::OfCallers(_), _) => None,
        }
    }

    fn of_number(&mut self, number: u32) -> Option<&mut Held> {
        match self {
            Self::DataPlane(held) => Some(held),
            Self::OfCallers(callers) => callers.of_number(number),
        }
    }

    fn take(&mut self, subject: &Subject, answer: Answer, refresh_before: Duration, now: Moment) {
        match (self, subject) {
            (Self::DataPlane(held), _) => held.take(answer, 0, refresh_before, now),
            (Self::OfCallers(callers), Subject::CallerCredential(caller, _)) => {
                callers.take(caller, answer, refresh_before, now);
            }
            (Self::OfCallers(_), _) => {}
        }
    }

    fn fail(&mut self, subject: &Subject, is_outage: bool, now: Moment) {
        match (self, subject) {
            (Self::DataPlane(held), _) => held.fail(now),
            (Self::OfCallers(callers), Subject::CallerCredential(caller, _)) => {
                callers.fail(caller, is_outage, now);
            }
            (Self::OfCallers(_), _) => {}
        }
    }
}
