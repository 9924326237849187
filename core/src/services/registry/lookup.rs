//! Lookups of tokens and people, and the records that come back.

use std::sync::Arc;
use std::time::Duration;

use super::client::Registry;
use super::found::Found;
use super::lookup_key::LookupKey;
use super::memory::{Held, Memory};
use super::shared_record::{self, SharedRecord};
use super::signed_record::{self, RecordFault};
use super::{introspection, record};
use crate::base::{Digest, Moment};
use crate::host::{SlotKind, Store};
use crate::identity::jwt::SignatureVerifier;
use crate::identity::{CallerKind, CallerRecord};
use crate::policy::Protocol;
use crate::services::fetch::{AsOf, Fetch, FetchAnswer, FetchOutcome, Subject};
use crate::services::resolution::{Accepted, FetchResults, Lookup, Resolution};

/// The lease of a worker that renews a record: no other worker asks meanwhile.
const LEASE: Duration = Duration::from_secs(5);

/// The place that a record was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordSource {
    /// The worker's own memory.
    Worker,
    /// The memory that the workers share.
    Process,
    /// The registry.
    Registry,
}

impl RecordSource {
    /// Returns its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Process => "process",
            Self::Registry => "registry",
        }
    }
}

/// An answer that is no record.
struct Refused {
    outcome: FetchOutcome,
    /// The fault of an answer that is not signed as the policy requires.
    fault: Option<RecordFault>,
}

impl From<FetchOutcome> for Refused {
    fn from(outcome: FetchOutcome) -> Self {
        Self { outcome, fault: None }
    }
}

impl From<RecordFault> for Refused {
    fn from(fault: RecordFault) -> Self {
        Self { outcome: FetchOutcome::Malformed, fault: Some(fault) }
    }
}

/// A record, and where it was found; `None` where there is no such token or person.
pub(crate) type FoundRecord = Option<(Arc<CallerRecord>, RecordSource)>;

impl Registry {
    /// Looks up a token or a person: in the results of the request's own fetches, else in the caches, else by a call.
    pub(crate) fn find(
        &self,
        key: LookupKey<'_>,
        results: &FetchResults,
        now: Moment,
        store: &dyn Store,
    ) -> Lookup<FoundRecord> {
        // Most requests wait for nothing, and need no search here.
        if !results.is_empty() {
            match results.of(&key.subject()) {
                Some(Resolution::Record(record)) => {
                    return Lookup::Ready(Some((Arc::clone(record), RecordSource::Registry)), None);
                }
                Some(Resolution::Unknown) => return Lookup::Ready(None, None),
                Some(_) => return Lookup::Unavailable,
                None => {}
            }
        }
        let is_of_token = matches!(key, LookupKey::Token(..));
        // An introspection server knows tokens only, and none by its digest.
        if !key.is_plausible() || !(is_of_token || self.policy.protocol == Protocol::Keyswap) {
            return Lookup::Ready(None, None);
        }
        // Nothing below calls back, so nothing else borrows it.
        let Ok(mut state) = self.state.try_borrow_mut() else { return Lookup::Unavailable };
        if let Some(fetch) = self.feed_check(key, &mut state, now).filter(|fetch| !results.has(&fetch.key)) {
            return Lookup::Fetch(Box::new(fetch));
        }
        self.find_remembered(key, &mut state, now, store)
    }

    fn find_remembered(
        &self,
        key: LookupKey<'_>,
        state: &mut Memory,
        now: Moment,
        store: &dyn Store,
    ) -> Lookup<FoundRecord> {
        let digest = key.digest();
        if let Some(held) = state.remembered(&digest, self.policy.positive, now) {
            let (record, is_due) = (Arc::clone(&held.record), now >= held.refresh_at);
            let renewal = if is_due { self.renewal(key, state, now, store) } else { None };
            return Lookup::Ready(Some((record, RecordSource::Worker)), renewal);
        }
        if let Some(asked_at) = state.absence(key) {
            // An absence that bounds nothing is used like a record, whose loss would be the same.
            let (is_bound, positive) = (matches!(key, LookupKey::Bounds(..)), self.policy.positive);
            let ttl = if is_bound { positive.max(self.policy.negative) } else { self.policy.negative };
            if now.is_within(ttl, asked_at) {
                let is_due = is_bound && !now.is_within(positive / 2, asked_at) && state.is_ready(key, now);
                return Lookup::Ready(None, is_due.then(|| self.record_call(key, state, now)));
            }
        }
        if state.unreadable.get(&digest).is_some_and(|at| now.is_within(self.policy.negative, *at)) {
            return Lookup::Unavailable;
        }
        if let Some(held) = self.shared(&key.subject(), &digest, state, now, store) {
            let record = Arc::clone(&held.record);
            state.hold(digest, held);
            return Lookup::Ready(Some((record, RecordSource::Process)), None);
        }
        if !state.is_ready(key, now) {
            return Lookup::Unavailable;
        }
        Lookup::Fetch(Box::new(self.record_call(key, state, now)))
    }

    pub(super) fn accept_record(
        &self,
        subject: &Subject,
        as_of: AsOf,
        answer: &FetchAnswer<'_>,
        verifier: &dyn SignatureVerifier,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Accepted::failed() };
        let Some(digest) = subject.digest() else { return Accepted::failed() };
        let read = self.read(subject, answer, verifier, as_of, now);
        let (found, asked_at, notes) = match read {
            Ok((found, asked_at)) => {
                state.unsigned = None;
                (Ok(found), asked_at, Vec::new())
            }
            Err(Refused { outcome, fault }) => (Err(outcome), as_of.at, state.told(fault)),
        };
        let outcome = match &found {
            Ok(found) if !found.is_believed(&state.feed, &digest, as_of.position) => FetchOutcome::Stale,
            Ok(Found::Record(..)) => FetchOutcome::Found,
            Ok(Found::Nothing) => FetchOutcome::NotFound,
            Err(outcome) => *outcome,
        };
        state.breaker.record(!outcome.is_outage(), now);
        state.settle(&digest, outcome);
        let resolution = match (found, outcome) {
            (Ok(Found::Record(record, version)), FetchOutcome::Found) => {
                let body = record::write(&record, subject, version);
                let held = Held::new(Arc::new(record), version, asked_at, self.policy.positive);
                let shared = SharedRecord {
                    digest: state.place(&digest),
                    version,
                    as_of: as_of.position,
                    asked_at,
                    leased_until: Moment::default(),
                    record: Some(&body),
                };
                // A record that cannot be shared is looked up by each worker.
                let _ = shared_record::fill(store, &shared, now);
                let record = Arc::clone(&held.record);
                state.hold(digest, held);
                Resolution::Record(record)
            }
            (Ok(Found::Nothing), FetchOutcome::NotFound) => {
                state.records.remove(&digest);
                let absences = match subject {
                    Subject::Person(_) => &mut state.absent,
                    _ => &mut state.unknown,
                };
                absences.insert(digest, asked_at);
                // Where shared memory cannot be written, the TTL of the record is the bound.
                let _ = shared_record::forget(store, state.place(&digest), asked_at, now);
                Resolution::Unknown
            }
            (Ok(_), _) => Resolution::Retry,
            (Err(FetchOutcome::Malformed), _) => {
                state.unreadable.insert(digest, as_of.at);
                Resolution::Unavailable
            }
            (Err(_), _) => Resolution::Unavailable,
        };
        Accepted { outcome, resolution, notes }
    }

    /// Reads an answer. Returns its content with the moment of which it is: that of the request, or that of a signed
    /// record's issue, if it is earlier.
    fn read(
        &self,
        subject: &Subject,
        answer: &FetchAnswer<'_>,
        verifier: &dyn SignatureVerifier,
        as_of: AsOf,
        now: Moment,
    ) -> Result<(Found, Moment), Refused> {
        let (status, body) = match answer {
            FetchAnswer::Response { status, body } => (*status, *body),
            FetchAnswer::Failed => return Err(FetchOutcome::Failed.into()),
        };
        if let (Some(keys), 200 | 404) = (&self.policy.keys, status) {
            let (found, issued_at) = signed_record::open(body, subject, keys, verifier, now)?;
            return Ok((found, as_of.at.min(issued_at)));
        }
        let found = match (&self.policy.protocol, status) {
            (Protocol::Keyswap, 200) => {
                record::read(body, subject).map(|(record, version)| Found::Record(record, version))
            }
            (Protocol::Keyswap, 404) => record::says_unknown(body).then_some(Found::Nothing),
            (Protocol::Introspection { scope, audiences }, 200) => {
                let digest = subject.digest();
                digest.and_then(|digest| introspection::read(body, &digest, scope, audiences, now))
            }
            // These answers are about every token: our credential is wrong, or the registry has too much to do.
            (_, 401 | 403 | 429 | 500..) => return Err(FetchOutcome::Unavailable.into()),
            _ => None,
        };
        found.map(|found| (found, as_of.at)).ok_or_else(|| FetchOutcome::Malformed.into())
    }

    /// Returns a record that another worker looked up, if it may be used.
    fn shared(
        &self,
        subject: &Subject,
        digest: &Digest,
        state: &Memory,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Held> {
        let place = state.place(digest);
        let value = store.get(&SlotKind::Record.key(&place)).ok()??;
        let shared = SharedRecord::decode(&value, &place)?;
        let is_fresh =
            now.is_within(self.policy.positive, shared.asked_at) && state.feed.has_heard_of(shared.version);
        if !is_fresh || !state.feed.believes(digest, shared.version, shared.as_of) {
            return None;
        }
        let (mut record, _) = record::read(shared.record?, subject)?;
        // Shared memory holds the words of a record, and the protocol says whose they are.
        if matches!(self.policy.protocol, Protocol::Introspection { .. }) {
            record.kind = CallerKind::Introspected;
        }
        Some(Held::new(Arc::new(record), shared.version, shared.asked_at, self.policy.positive))
    }

    /// Returns the call that renews a record before it is too old, if this worker is the one to make it.
    fn renewal(
        &self,
        key: LookupKey<'_>,
        state: &mut Memory,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Fetch> {
        let digest = key.digest();
        let held = state.records.get_mut(&digest)?;
        held.refresh_at = now.after(LEASE);
        let (version, asked_at) = (held.version, held.asked_at);
        // Another worker may have renewed it already.
        let is_newer = |other: &Held| other.asked_at > asked_at && other.version >= version;
        if let Some(renewed) = self.shared(&key.subject(), &digest, state, now, store).filter(is_newer) {
            state.records.insert(digest, renewed);
            return None;
        }
        let may_ask = shared_record::lease(store, &state.place(&digest), now, now.after(LEASE));
        may_ask.then(|| self.record_call(key, state, now))
    }
}
