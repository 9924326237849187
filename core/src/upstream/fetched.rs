//! An upstream credential that is fetched: from a token agent, a metadata server, a secret manager.
//!
//! A value is renewed ahead of its expiry and used until then, whatever becomes of the renewal; never afterwards. It
//! stays in the memory of the worker that fetched it: what workers share, other plugins can read. Who does not answer is
//! left alone for a while after some failures.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::agent;
use super::key::Key;
use crate::fetch::{Asked, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, Resolution, Subject};
use crate::policy::{HttpSource, PolicyError};
use crate::provider::AuthStyle;
use crate::secret::{Environment, Secret};
use crate::services::{Accepted, ServiceId};
use crate::time::Moment;

/// Failures in a row until it is left alone, and for how long.
const FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(30);
/// An upstream that refuses a value has it renewed, but not one that is newer than this.
const YOUNGEST_REFUSED: Duration = Duration::from_secs(10);

pub(crate) struct Fetched {
    id: ServiceId,
    /// Its place in the policy that asked first.
    path: String,
    source: HttpSource,
    /// The header that the agent wants to see.
    authorization: Option<(String, Secret)>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// In a row.
    failures: u32,
    /// No call before.
    pause_until: Moment,
}

struct Current {
    key: Arc<Key>,
    fetched_at: Moment,
    refresh_at: Moment,
    expires_at: Moment,
}

/// What there is of a value.
pub(crate) enum Value {
    Usable { key: Arc<Key>, refresh: Option<Fetch> },
    Ask(Fetch),
    Unavailable,
}

/// How fresh a value is, for people.
pub(crate) struct Freshness {
    pub(crate) fetched_at: Option<Moment>,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) failures: u32,
    pub(crate) paused_until: Option<Moment>,
}

impl Fetched {
    /// `path` is the source's place in the policy.
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
        Ok(Self {
            id,
            path: path.to_owned(),
            source: source.clone(),
            authorization,
            state: RefCell::default(),
        })
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Whether another policy's source is this very one.
    pub(crate) fn is_of(&self, source: &HttpSource) -> bool {
        self.source == *source
    }

    pub(crate) fn find(&self, now: Moment) -> Value {
        let Ok(state) = self.state.try_borrow() else { return Value::Unavailable };
        match &state.current {
            Some(current) if current.is_usable(now) => {
                let is_due = current.is_due(now) && state.may_call(now);
                Value::Usable { key: Arc::clone(&current.key), refresh: is_due.then(|| self.fetch(now)) }
            }
            _ if state.may_call(now) => Value::Ask(self.fetch(now)),
            _ => Value::Unavailable,
        }
    }

    /// The call that is due, be it that nobody needs the value yet.
    pub(crate) fn due(&self, now: Moment) -> Option<Fetch> {
        match self.find(now) {
            Value::Usable { refresh, .. } => refresh,
            Value::Ask(fetch) => Some(fetch),
            Value::Unavailable => None,
        }
    }

    /// What came of a call. The words are for the log, and hold nothing of the value.
    pub(crate) fn accept(&self, answer: &FetchAnswer<'_>, now: Moment) -> Accepted {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Accepted::failed();
        };
        let read = match answer {
            FetchAnswer::Response { status: 200, body } => agent::read(body, &self.source, now)
                .map_err(|fault| (FetchOutcome::Malformed, Some(fault.to_string()))),
            FetchAnswer::Response { status, .. } => {
                Err((FetchOutcome::Unavailable, Some(format!("the answer has status {status}"))))
            }
            FetchAnswer::Failed => Err((FetchOutcome::Failed, None)),
        };
        match read {
            // A fresh value takes the place of the one before, whichever would last longer: that may have been taken back.
            Ok(agent::Answer { secret, expires_at }) => {
                let life = Duration::from_nanos(expires_at.0.saturating_sub(now.0));
                // Where values do not live much longer than they are to be renewed early, half of their life is early.
                let used_for = life.saturating_sub(self.source.refresh_before).max(life / 2);
                state.current = Some(Current {
                    key: Arc::new(Key::new(secret)),
                    fetched_at: now,
                    refresh_at: now.after(now.jittered(used_for)),
                    expires_at,
                });
                state.failures = 0;
                state.pause_until = Moment::default();
                Accepted::new(FetchOutcome::Found, Resolution::Ready)
            }
            Err((outcome, note)) => {
                state.failures = state.failures.saturating_add(1);
                if state.failures >= FAILURES {
                    state.pause_until = now.after(now.jittered(PAUSE));
                }
                let note = note.map(|note| format!("`{}.http`: {note}", self.path));
                Accepted { outcome, resolution: Resolution::Unavailable, notes: note.into_iter().collect() }
            }
        }
    }

    /// The upstream refused the value: there may be a newer one.
    pub(crate) fn refused(&self, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && let Some(current) = &mut state.current
            && !now.is_within(YOUNGEST_REFUSED, current.fetched_at)
        {
            current.refresh_at = now;
        }
    }

    pub(crate) fn freshness(&self, now: Moment) -> Option<Freshness> {
        let state = self.state.try_borrow().ok()?;
        let current = state.current.as_ref();
        Some(Freshness {
            fetched_at: current.map(|current| current.fetched_at),
            expires_at: current.map(|current| current.expires_at),
            failures: state.failures,
            paused_until: Some(state.pause_until).filter(|_| !state.may_call(now)),
        })
    }

    fn fetch(&self, now: Moment) -> Fetch {
        let HttpSource { endpoint, cluster, headers, timeout, .. } = &self.source;
        let plain = |text: &str| Zeroizing::new(text.to_owned());
        let mut fields = vec![
            (":method".into(), plain("GET")),
            (":path".into(), plain(&endpoint.path)),
            (":authority".into(), plain(&endpoint.authority)),
            ("accept".into(), plain("application/json, text/plain")),
        ];
        fields.extend(headers.iter().map(|(name, value)| (name.clone().into(), plain(value))));
        if let Some((name, secret)) = &self.authorization {
            fields.push((name.clone().into(), secret.reveal_to_agent(self)));
        }
        let request = FetchRequest {
            cluster: cluster.clone(),
            https: endpoint.https,
            headers: fields,
            body: None,
            timeout: *timeout,
        };
        Fetch::new(FetchKey::new(self.id, Subject::Credential), request, Asked { at: now, as_of: 0 })
    }
}

impl State {
    fn may_call(&self, now: Moment) -> bool {
        // A clock that was put back keeps nobody waiting for longer than one pause.
        self.pause_until <= now || self.pause_until > now.after(PAUSE * 2)
    }
}

impl Current {
    fn is_usable(&self, now: Moment) -> bool {
        now < self.expires_at
    }

    fn is_due(&self, now: Moment) -> bool {
        // A value from the future is one that was fetched before the clock was put back.
        self.refresh_at <= now || now < self.fetched_at
    }
}
