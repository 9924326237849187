//! The keys of an issuer: fetched when they are needed, cached, and used a while longer when no newer ones can be
//! fetched.
//!
//! Without a readable set no token is accepted. An unknown `kid` triggers at most one refetch per cooldown, so invented
//! key ids cannot load the issuer.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use super::fetch::{AsOf, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, ServiceId, Subject};
use super::resolution::{Accepted, FetchResults, Lookup, Resolution};
use crate::base::{Moment, Pause, UnixTime, doubled};
use crate::identity::jwt::{Endpoint, Issuer, JwkSet, KeySource, RemoteKeys, jwks_endpoint};

/// The pause after the first failure, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a failure.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// The state of a fetched key set, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// The policy's name for the issuer.
    pub issuer: String,
    /// The time at which the set was fetched; `None` where there is no set.
    pub fetched_at: Option<UnixTime>,
    /// The number of failures in a row since then.
    pub failures: u32,
}

pub(crate) struct KeyRing {
    id: ServiceId,
    /// The name of the first issuer that asked for these keys.
    issuer: String,
    source: Source,
    state: RefCell<State>,
}

enum Source {
    Inline(Arc<JwkSet>),
    Remote {
        keys: RemoteKeys,
        /// The issuer, where the address of its keys must be discovered.
        discover: Option<String>,
    },
}

impl Source {
    fn of(issuer: &Issuer) -> Self {
        match issuer.keys() {
            KeySource::Inline(keys) => Self::Inline(Arc::new(keys.clone())),
            KeySource::Jwks(keys) => Self::Remote { keys: keys.clone(), discover: None },
            KeySource::Discovery(keys) => {
                Self::Remote { keys: keys.clone(), discover: Some(issuer.url().to_owned()) }
            }
        }
    }
}

struct State {
    /// The address of the keys, once it was discovered.
    endpoint: Option<Endpoint>,
    keys: Option<(Arc<JwkSet>, Moment)>,
    pause: Pause,
    /// The moment at which a set last replaced another.
    refetched_at: Option<Moment>,
}

impl Default for State {
    fn default() -> Self {
        Self { endpoint: None, keys: None, pause: Pause::at_most(MAX_PAUSE), refetched_at: None }
    }
}

impl KeyRing {
    pub(crate) fn new(id: ServiceId, issuer: &Issuer) -> Self {
        Self { id, issuer: issuer.name().to_owned(), source: Source::of(issuer), state: RefCell::default() }
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Returns whether the keys of another policy's issuer are fetched from there in the same way.
    pub(crate) fn is_of(&self, issuer: &Issuer) -> bool {
        match (&self.source, Source::of(issuer)) {
            (Source::Remote { keys, discover }, Source::Remote { keys: other, discover: of_other }) => {
                *keys == other && *discover == of_other
            }
            _ => false,
        }
    }

    /// Returns the keys. A set that is about to be too old comes with the call that renews it.
    pub(crate) fn find(&self, results: &FetchResults, now: Moment) -> Lookup<Arc<JwkSet>> {
        let remote = match &self.source {
            Source::Inline(keys) => return Lookup::Ready(Arc::clone(keys), None),
            Source::Remote { keys, .. } => keys,
        };
        let Ok(state) = self.state.try_borrow() else { return Lookup::Unavailable };
        // A set is used a little longer while it is renewed, and much longer only where it could not be.
        let beyond = if state.pause.failures() > 0 { remote.stale_if_error } else { remote.cache_duration };
        let usable = remote.cache_duration.saturating_add(beyond.min(remote.stale_if_error));
        match &state.keys {
            Some((keys, at)) if now.is_within(remote.cache_duration, *at) => {
                Lookup::Ready(Arc::clone(keys), None)
            }
            Some((keys, at)) if now.is_within(usable, *at) => {
                // Each request that finds it stale asks, and the host shares one fetch among them.
                Lookup::Ready(Arc::clone(keys), self.renewal(&state, now))
            }
            _ => self.renewal(&state, now).map_or(Lookup::Unavailable, |fetch| results.fetch_once(fetch)),
        }
    }

    /// Looks for newer keys, for a `kid` that is not among the cached ones. Ready means that the set is as new as it
    /// needs to be.
    pub(crate) fn newer(&self, results: &FetchResults, now: Moment) -> Lookup<()> {
        let Source::Remote { keys: remote, .. } = &self.source else { return Lookup::Ready((), None) };
        let Ok(state) = self.state.try_borrow() else { return Lookup::Unavailable };
        if state.refetched_at.is_some_and(|at| now.is_within(remote.refetch_cooldown, at)) {
            return Lookup::Ready((), None);
        }
        match self.renewal(&state, now) {
            // The set was fetched for this request already: a `kid` that is still unknown does not exist.
            Some(fetch) if results.has(&fetch.key) => Lookup::Ready((), None),
            Some(fetch) => Lookup::Fetch(Box::new(fetch)),
            None => Lookup::Unavailable,
        }
    }

    /// Returns the call for newer keys, unless the last one failed just now.
    fn renewal(&self, state: &State, now: Moment) -> Option<Fetch> {
        if state.pause.is_over(now) { self.fetch(state, now) } else { None }
    }

    /// Takes in the outcome of a fetch. The notes are for the log.
    pub(crate) fn accept(&self, subject: &Subject, answer: &FetchAnswer<'_>, now: Moment) -> Accepted {
        let (Source::Remote { keys: remote, discover }, Ok(mut state)) =
            (&self.source, self.state.try_borrow_mut())
        else {
            return Accepted::failed();
        };
        let body = match answer {
            FetchAnswer::Response { status: 200, body } => Ok(*body),
            FetchAnswer::Response { .. } => Err((FetchOutcome::Unavailable, Vec::new())),
            FetchAnswer::Failed => Err((FetchOutcome::Failed, Vec::new())),
        };
        let malformed = |fault: String| (FetchOutcome::Malformed, vec![fault]);
        let read = body.and_then(|body| {
            if let (Subject::Discovery, Some(issuer)) = (subject, discover) {
                let endpoint = jwks_endpoint(body, issuer, &remote.endpoint);
                state.endpoint = Some(endpoint.map_err(|fault| malformed(fault.to_string()))?);
                return Ok(Vec::new());
            }
            let keys = JwkSet::parse(body).map_err(|fault| malformed(fault.to_string()))?;
            // An issuer that signs has a key: the last ones count on, for as long as the policy says.
            if keys.keys().is_empty() {
                return Err(malformed("the set has no key that can be used".to_owned()));
            }
            let dropped = keys.dropped().iter().map(|(at, fault)| format!("key {at} is left out: {fault}"));
            let notes = dropped.collect();
            // Only an answer begins the cooldown: failures have pauses of their own.
            state.refetched_at = state.keys.is_some().then_some(now);
            state.pause.succeed();
            // Verified JWTs are bound to the set, so it stays the same value where nothing has changed.
            let same = state.keys.take().map(|(same, _)| same).filter(|same| **same == keys);
            // By the present clock: an issuer's set has no version, and is as new as its answer.
            state.keys = Some((same.unwrap_or_else(|| Arc::new(keys)), now));
            Ok(notes)
        });
        match read {
            Ok(notes) => {
                state.pause.end(now);
                Accepted { outcome: FetchOutcome::Found, resolution: Resolution::Refreshed, notes }
            }
            Err((outcome, notes)) => {
                state.fail(now);
                Accepted { outcome, resolution: Resolution::Unavailable, notes }
            }
        }
    }

    pub(crate) fn key_set(&self) -> KeySet {
        let (_, fetched_at, failures) = self.report();
        KeySet { issuer: self.issuer.clone(), fetched_at: fetched_at.map(Moment::unix), failures }
    }

    /// Returns the number of keys, the moment at which they were fetched, and the failures in a row since.
    pub(crate) fn report(&self) -> (usize, Option<Moment>, u32) {
        match (&self.source, self.state.try_borrow()) {
            (Source::Inline(keys), _) => (keys.keys().len(), None, 0),
            (Source::Remote { .. }, Ok(state)) => {
                let (keys, fetched_at) =
                    state.keys.as_ref().map(|(keys, at)| (keys.keys().len(), *at)).unzip();
                (keys.unwrap_or_default(), fetched_at, state.pause.failures())
            }
            (Source::Remote { .. }, Err(_)) => (0, None, 0),
        }
    }

    fn fetch(&self, state: &State, now: Moment) -> Option<Fetch> {
        let Source::Remote { keys: remote, discover } = &self.source else { return None };
        let (subject, endpoint) = match (discover, &state.endpoint) {
            (Some(_), None) => (Subject::Discovery, &remote.endpoint),
            (_, endpoint) => (Subject::Keys, endpoint.as_ref().unwrap_or(&remote.endpoint)),
        };
        let RemoteKeys { cluster, timeout, .. } = remote;
        let Endpoint { authority, path, https, .. } = endpoint;
        let request = FetchRequest::get(cluster, *https, authority, path.clone(), *timeout)
            .header("accept", "application/json");
        Some(Fetch::new(FetchKey::new(self.id, subject), request, AsOf::moment(now)))
    }
}

impl State {
    fn fail(&mut self, now: Moment) {
        let pause = doubled(FIRST_PAUSE, self.pause.failures(), MAX_PAUSE);
        self.pause.fail();
        self.pause.begin_jittered(pause, now);
        // The keys may have moved.
        self.endpoint = None;
    }
}
