//! An upstream credential that is fetched: from a token agent, a metadata server, a secret manager.
//!
//! A value is renewed ahead of its expiry, and used until shortly before it even if the renewal fails. The value stays
//! in the memory of the worker that fetched it, because other plugins can read what workers share. An agent that fails
//! several times in a row gets no call for a while.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::answer::{self, Answer};
use crate::base::{Moment, Pause};
use crate::host::Environment;
use crate::policy::{HttpSource, PolicyError};
use crate::provider::AuthStyle;
use crate::secret::{Key, ServiceSecret};
use crate::services::fetch::{
    AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, ServiceId, Subject,
};
use crate::services::resolution::{Accepted, FetchResults, Lookup, Resolution};

/// The failures in a row after which the pauses are long.
const MAX_FAILURES: u32 = 3;
/// The pause after that many failures.
const PAUSE: Duration = Duration::from_secs(30);
/// The pause after a failure before that.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// The time before the end of a value at which its use ends; at most a tenth of its life. A request takes time to
/// arrive.
const MARGIN: Duration = Duration::from_secs(1);
/// The least time before the renewal of a value, however short its life.
const MIN_USE: Duration = Duration::from_millis(250);
/// The least age of a value that is renewed because an upstream refused it.
const MIN_REFUSED_AGE: Duration = Duration::from_secs(10);

pub(crate) struct Agent {
    id: ServiceId,
    /// The place in the policy that asked first.
    path: String,
    source: HttpSource,
    /// The header with the agent's own credential.
    authorization: Option<(String, ServiceSecret)>,
    state: RefCell<State>,
}

struct State {
    current: Option<Current>,
    pause: Pause,
}

impl Default for State {
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
    pub(crate) key: Rc<Key>,
    pub(crate) fetched_at: Moment,
}

/// The freshness of a value, for people.
pub(crate) struct Freshness {
    pub(crate) fetched_at: Option<Moment>,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) is_usable: bool,
    pub(crate) failures: u32,
    pub(crate) paused_until: Option<Moment>,
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
        let authorization = match &source.credential {
            None => None,
            Some((variable, style)) => {
                let secret = variable.require(&format!("{path}.http.credential"), environment)?;
                Some(match style {
                    AuthStyle::Authorization(scheme) => {
                        ("authorization".to_owned(), secret.with_scheme(scheme))
                    }
                    AuthStyle::Header(name) => (name.clone(), secret),
                })
            }
        };
        let (path, source) = (path.to_owned(), source.clone());
        Ok(Self { id, path, source, authorization, state: RefCell::default() })
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Returns whether another policy's source is this very agent.
    pub(crate) fn is_of(&self, source: &HttpSource) -> bool {
        self.source == *source
    }

    /// Returns the value. A value that is about to expire comes with the call that renews it.
    pub(crate) fn find(&self, results: &FetchResults, now: Moment) -> Lookup<Value> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Lookup::Unavailable };
        let may_call = state.pause.is_over(now);
        match &mut state.current {
            Some(current) if current.is_usable(now) => {
                let renewal = (may_call && current.is_due(now)).then(|| {
                    // One call at a time. If its answer never comes, another call is due.
                    current.refresh_at = now.after(self.source.timeout + SHORT_PAUSE);
                    self.fetch(now)
                });
                Lookup::Ready(current.value.clone(), renewal)
            }
            _ if may_call => results.fetch_once(self.fetch(now)),
            _ => Lookup::Unavailable,
        }
    }

    /// Returns the call that is due, even where no request needs the value yet.
    pub(crate) fn due(&self, now: Moment) -> Option<Fetch> {
        match self.find(&FetchResults::default(), now) {
            Lookup::Ready(_, renewal) => renewal,
            Lookup::Fetch(fetch) => Some(*fetch),
            Lookup::Unavailable => None,
        }
    }

    /// Notes that a call that is due was not made after all.
    pub(crate) fn abandon(&self, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && let Some(current) = &mut state.current
        {
            current.refresh_at = now;
        }
    }

    /// Takes in the outcome of a call. The notes are for the log, and hold nothing of the value.
    pub(crate) fn accept(&self, as_of: AsOf, answer: &FetchAnswer<'_>, now: Moment) -> Accepted {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Accepted::failed();
        };
        let read = match answer {
            FetchAnswer::Response { status: 200, body } => answer::read(body, &self.source, as_of.at, now)
                .map_err(|fault| (FetchOutcome::Malformed, Some(fault.to_string()))),
            FetchAnswer::Response { status, .. } => {
                Err((FetchOutcome::Unavailable, Some(format!("the answer has status {status}"))))
            }
            FetchAnswer::Failed => Err((FetchOutcome::Failed, None)),
        };
        match read {
            // A fresh value replaces the one before even if that would last longer: it may have been revoked.
            Ok(answer) => {
                let current = Current::new(answer, self.source.refresh_before, now);
                *state = State { current: Some(current), ..State::default() };
                Accepted::new(FetchOutcome::Found, Resolution::Refreshed)
            }
            Err((outcome, note)) => {
                state.fail(now);
                let note = note.map(|note| format!("`{}.http`: {note}", self.path));
                Accepted { outcome, resolution: Resolution::Unavailable, notes: note.into_iter().collect() }
            }
        }
    }

    /// Notes that the upstream refused a value: there may be a newer one.
    pub(crate) fn refused(&self, fetched_at: Moment, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && let Some(current) = &mut state.current
            && current.value.fetched_at == fetched_at
            && !now.is_within(MIN_REFUSED_AGE, fetched_at)
        {
            current.refresh_at = now;
        }
    }

    /// Returns whether a value that was fetched then is the newest there is.
    pub(crate) fn is_current(&self, fetched_at: Moment) -> bool {
        let state = self.state.try_borrow();
        state.is_ok_and(|state| state.current.as_ref().is_some_and(|it| it.value.fetched_at == fetched_at))
    }

    pub(crate) fn freshness(&self, now: Moment) -> Option<Freshness> {
        let state = self.state.try_borrow().ok()?;
        let current = state.current.as_ref();
        Some(Freshness {
            fetched_at: current.map(|current| current.value.fetched_at),
            expires_at: current.map(|current| current.expires_at),
            is_usable: current.is_some_and(|current| current.is_usable(now)),
            failures: state.pause.failures(),
            paused_until: Some(state.pause.until()).filter(|_| !state.pause.is_over(now)),
        })
    }

    fn fetch(&self, now: Moment) -> Fetch {
        let HttpSource { endpoint, cluster, headers, timeout, .. } = &self.source;
        let path = endpoint.path.clone();
        let mut request = FetchRequest::get(cluster, endpoint.https, &endpoint.authority, path, *timeout)
            .header("accept", "application/json, text/plain");
        for (name, value) in headers {
            request = request.header(name.clone(), value);
        }
        if let Some((name, secret)) = &self.authorization {
            request = request.credential(name.clone(), secret);
        }
        Fetch::new(FetchKey::new(self.id, Subject::Credential), request, AsOf::moment(now))
    }
}

impl State {
    fn fail(&mut self, now: Moment) {
        self.pause.fail();
        let span = if self.pause.failures() < MAX_FAILURES { SHORT_PAUSE } else { PAUSE };
        self.pause.begin_jittered(span, now);
        // The renewal stays due, once the pause is over.
        if let Some(current) = &mut self.current {
            current.refresh_at = now;
        }
    }
}

impl Current {
    fn new(answer: Answer, refresh_before: Duration, now: Moment) -> Self {
        let Answer { secret, expires_at, at_most } = answer;
        let life = Duration::from_nanos(expires_at.0.saturating_sub(now.0));
        // Where values are short-lived, half of their life is early enough.
        let used_for = life.saturating_sub(refresh_before).max(life / 2);
        let used_for = now.jittered(used_for).max(MIN_USE);
        Self {
            value: Value { key: Rc::new(Key::new(secret)), fetched_at: now },
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
