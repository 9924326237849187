//! Tokens and people that are known elsewhere: looked up, remembered for a while, forgotten when they change.
//!
//! A record is taken from the worker's memory, else from the memory that workers share, else from the registry. None of
//! them is believed for longer than the policy says, nor after the registry told of a change. Whoever cannot be asked
//! lets nobody in: only what is remembered still counts.

mod breaker;
mod budget;
mod calls;
mod feed;
mod introspection;
mod memory;
mod record;
mod slot;
mod usage;
mod wanted;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use self::budget::Count;
use self::feed::Feed;
use self::memory::{Held, Memory};
use self::slot::Slot;
pub(crate) use self::wanted::{Wanted, person};
use crate::fetch::{Asked, Fetch, FetchAnswer, FetchKey, FetchOutcome, Resolution, Subject};
use crate::host::Capabilities;
use crate::policy::{Protocol, RegistryPolicy};
use crate::secret::{Secret, ServiceSecret};
use crate::services::{Accepted, ServiceId};
use crate::store::{Kind, Store};
use crate::time::Moment;
use crate::token::{TokenDigest, TokenRecord};

/// A worker that asks anew for a record has so long for it.
const LEASE: Duration = Duration::from_secs(5);
/// The longest pause after the feed failed.
const LONGEST_FEED_PAUSE: Duration = Duration::from_secs(10);
/// Where nobody asks what is due while nobody calls: how often the feed is asked, without waiting for a change, and how
/// long nothing needs to have been heard before a record is believed that was remembered.
const FEED_PERIOD: Duration = Duration::from_secs(2);
const LONGEST_SILENCE: Duration = Duration::from_secs(4);
/// An answer that never came is no longer waited for.
const LOST: Duration = Duration::from_secs(30);

/// The registry of a policy, and what is remembered of it.
pub(crate) struct Registry {
    id: ServiceId,
    policy: RegistryPolicy,
    authorization: ServiceSecret,
    /// Whether the host follows the feed for this worker, see [`Capabilities::ticks`].
    is_followed: bool,
    state: RefCell<Memory>,
}

/// What is known of the one who is wanted.
pub(crate) enum Lookup {
    Known {
        record: Arc<TokenRecord>,
        from: Origin,
        refresh: Option<Fetch>,
    },
    Unknown,
    Ask(Fetch),
    /// It would have to be asked for, and cannot be now.
    Unavailable,
}

/// Where a record was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In the worker's own memory.
    Worker,
    /// In the memory that the workers share.
    Process,
    /// At the registry.
    Registry,
}

impl Origin {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Process => "process",
            Self::Registry => "registry",
        }
    }
}

impl Registry {
    pub(crate) fn new(
        id: ServiceId,
        policy: RegistryPolicy,
        credential: &Secret,
        host: Capabilities,
    ) -> Self {
        let state = RefCell::new(Memory::new(&policy));
        let authorization = ServiceSecret::with_scheme(credential, "Bearer");
        Self { id, policy, authorization, is_followed: host.ticks, state }
    }

    pub(crate) fn id(&self) -> ServiceId {
        self.id
    }

    /// Whether another policy describes this very registry.
    pub(crate) fn is_of(&self, policy: &RegistryPolicy) -> bool {
        self.policy == *policy
    }

    pub(crate) fn key(&self, subject: Subject) -> FetchKey {
        FetchKey::new(self.id, subject)
    }

    /// What is known of a token or a person.
    pub(crate) fn find(&self, wanted: Wanted<'_>, now: Moment, store: &dyn Store) -> Lookup {
        if !wanted.can_be() {
            return Lookup::Unknown;
        }
        let subject = wanted.subject();
        let Some(digest) = subject.digest() else { return Lookup::Unknown };
        // Nobody else borrows it: nothing below calls back.
        let Ok(mut state) = self.state.try_borrow_mut() else { return Lookup::Unavailable };
        if let Some(record) = state.remembered(&digest, self.policy.positive, now) {
            let refresh = self.refresh(&mut state, wanted, &subject, &digest, now, store);
            return Lookup::Known { record, from: Origin::Worker, refresh };
        }
        if state.unknown.get(&digest).is_some_and(|at| now.is_within(self.policy.negative, *at)) {
            return Lookup::Unknown;
        }
        if state.senseless.get(&digest).is_some_and(|at| now.is_within(self.policy.negative, *at)) {
            return Lookup::Unavailable;
        }
        if let Some(held) = self.shared(&state, &subject, &digest, now, store) {
            let record = Arc::clone(&held.record);
            state.hold(digest, held);
            return Lookup::Known { record, from: Origin::Process, refresh: None };
        }
        if !state.is_ready(&digest, now) {
            return Lookup::Unavailable;
        }
        Lookup::Ask(self.fetch(&state, wanted, now))
    }

    /// What must be heard of the feed before a record is believed that was remembered, where the feed was not followed
    /// meanwhile. A registry that does not answer is not asked again by each request: then its records are believed for as
    /// long as the policy says.
    pub(crate) fn unheard(&self, wanted: Wanted<'_>, now: Moment) -> Option<Fetch> {
        if self.is_followed || self.policy.protocol != Protocol::Keyswap {
            return None;
        }
        let digest = wanted.subject().digest()?;
        let mut state = self.state.try_borrow_mut().ok()?;
        let is_silent = !now.is_within(LONGEST_SILENCE, state.heard_at);
        let rests = state.feed_failures > 0 && now < state.feed_due;
        let is_remembered = is_silent
            && !rests
            && (state.unknown.contains(&digest)
                || state.remembered(&digest, self.policy.positive, now).is_some());
        is_remembered.then(|| self.changes(&state, now))
    }

    /// Whether a call is made: asked once for each.
    pub(crate) fn may_call(&self, subject: &Subject, now: Moment) -> bool {
        // What is heard and reported is paced by itself.
        matches!(subject, Subject::Changes | Subject::Usage)
            || self.state.try_borrow_mut().is_ok_and(|mut state| state.may_call(subject, now))
    }

    /// A call that is due was not made after all: it is due again soon.
    pub(crate) fn abandon(&self, subject: &Subject, now: Moment) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        match subject {
            Subject::Changes => state.feed_due = now,
            Subject::Usage => state.usage.settle(false, now),
            _ => {}
        }
    }

    /// What came of a call. The resolution is for the requests that wait for it.
    pub(crate) fn accept(
        &self,
        subject: &Subject,
        asked: Asked,
        answer: &FetchAnswer<'_>,
        now: Moment,
        store: &dyn Store,
    ) -> Accepted {
        let (outcome, resolution) = match subject {
            Subject::Token(_) | Subject::Person(_) => self.accept_record(subject, answer, asked, now, store),
            Subject::Limit(count) => self.accept_taken(count, answer, now),
            Subject::Changes => (self.accept_changes(answer, asked, now, store), Resolution::Ready),
            Subject::Usage => (self.accept_usage(answer, now), Resolution::Ready),
            Subject::Discovery | Subject::Keys | Subject::Credential | Subject::Bundle => {
                return Accepted::failed();
            }
        };
        Accepted::new(outcome, resolution)
    }

    fn accept_record(
        &self,
        subject: &Subject,
        answer: &FetchAnswer<'_>,
        asked: Asked,
        now: Moment,
        store: &dyn Store,
    ) -> (FetchOutcome, Resolution) {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return (FetchOutcome::Failed, Resolution::Unavailable);
        };
        let Some(digest) = subject.digest() else { return (FetchOutcome::Failed, Resolution::Unavailable) };
        let found = self.read(answer, subject, &digest, now);
        let outcome = match &found {
            Ok(found) if !found.is_believed(&state.feed, &digest, asked.as_of) => FetchOutcome::Stale,
            Ok(Found::Record(..)) => FetchOutcome::Found,
            Ok(Found::Nothing) => FetchOutcome::NotFound,
            Err(outcome) => *outcome,
        };
        state.breaker.record(!outcome.is_outage(), now);
        state.settle(&digest, outcome);
        let resolution = match found {
            Ok(Found::Record(record, version)) if outcome == FetchOutcome::Found => {
                let body = record::write(&record, subject, version);
                let slot = Slot {
                    digest: state.place(&digest),
                    version,
                    as_of: asked.as_of,
                    asked_at: asked.at,
                    leased_until: Moment::default(),
                    record: Some(&body),
                };
                // A record that cannot be shared is looked up by each worker.
                let _ = slot::fill(store, &slot, now);
                let record = Arc::new(record);
                state.hold(digest, Held::new(Arc::clone(&record), version, asked.at, self.policy.positive));
                Resolution::Record(record)
            }
            Ok(Found::Nothing) if outcome == FetchOutcome::NotFound => {
                state.records.remove(&digest);
                state.unknown.insert(digest, asked.at);
                // Where it cannot be forgotten for all, its time to live is the bound.
                let _ = slot::forget(store, state.place(&digest), asked.at, now);
                Resolution::Unknown
            }
            Ok(_) => Resolution::Again,
            Err(FetchOutcome::Malformed) => {
                state.senseless.insert(digest, asked.at);
                Resolution::Unavailable
            }
            Err(_) => Resolution::Unavailable,
        };
        (outcome, resolution)
    }

    /// What came of asking for changes.
    fn accept_changes(
        &self,
        answer: &FetchAnswer<'_>,
        asked: Asked,
        now: Moment,
        store: &dyn Store,
    ) -> FetchOutcome {
        let Ok(mut state) = self.state.try_borrow_mut() else { return FetchOutcome::Failed };
        let part = match answer {
            FetchAnswer::Response { status: 200, body } => feed::read(body).ok_or(FetchOutcome::Malformed),
            FetchAnswer::Response { .. } => Err(FetchOutcome::Unavailable),
            FetchAnswer::Failed => Err(FetchOutcome::Failed),
        };
        match part {
            Ok(part) => {
                state.follow(&part, store);
                state.feed_failures = 0;
                state.heard_at = asked.at;
                // Where the registry is asked to wait for a change it is asked again at once.
                state.feed_due = if self.is_followed { now } else { asked.at.after(FEED_PERIOD) };
                FetchOutcome::Found
            }
            Err(outcome) => {
                let pause = Duration::from_secs(1) * 2_u32.saturating_pow(state.feed_failures.min(8));
                state.feed_failures = state.feed_failures.saturating_add(1);
                state.feed_due = now.after(now.jittered(pause.min(LONGEST_FEED_PAUSE)));
                outcome
            }
        }
    }

    /// What came of reporting.
    fn accept_usage(&self, answer: &FetchAnswer<'_>, now: Moment) -> FetchOutcome {
        let Ok(mut state) = self.state.try_borrow_mut() else { return FetchOutcome::Failed };
        let outcome = match answer {
            FetchAnswer::Response { status: 200..=299, .. } => FetchOutcome::Found,
            FetchAnswer::Response { .. } => FetchOutcome::Unavailable,
            FetchAnswer::Failed => FetchOutcome::Failed,
        };
        state.usage.settle(outcome == FetchOutcome::Found, now);
        outcome
    }

    /// What is remembered, in numbers.
    pub(crate) fn report(&self) -> Value {
        let Ok(state) = self.state.try_borrow() else { return Value::Null };
        json!({
            "authority": self.policy.url.authority,
            "position": state.feed.position(),
            "feed_failures": state.feed_failures,
            "records": state.records.len(),
            "unknown": state.unknown.len(),
        })
    }

    /// Whether it is noted already that a token was used today.
    pub(crate) fn is_marked(&self, digest: &TokenDigest, now: Moment) -> bool {
        self.state.try_borrow().is_ok_and(|state| state.usage.is_marked(digest, now))
    }

    /// Notes that a token was used.
    pub(crate) fn mark_used(&self, digest: TokenDigest, now: Moment) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && self.policy.protocol == Protocol::Keyswap
        {
            state.usage.mark(digest, now);
        }
    }

    /// The calls that are due and that no request waits for.
    pub(crate) fn due(&self, now: Moment) -> Vec<Fetch> {
        let Ok(mut state) = self.state.try_borrow_mut() else { return Vec::new() };
        if self.policy.protocol != Protocol::Keyswap {
            return Vec::new();
        }
        let mut due = Vec::new();
        // A clock that was put back does not stop the feed.
        if state.feed_due <= now || state.feed_due > now.after(LOST * 2) {
            state.feed_due = now.after(LOST);
            due.push(self.changes(&state, now));
        }
        if let Some(body) = state.usage.report(now) {
            let fields =
                vec![(":method", "POST".to_owned()), ("content-type", "application/json".to_owned())];
            let request = self.request("/v1/usage", fields, Some(body.into()), self.policy.timeout);
            due.push(Fetch::new(self.key(Subject::Usage), request, state.asked(now)));
        }
        due
    }

    fn read(
        &self,
        answer: &FetchAnswer<'_>,
        subject: &Subject,
        digest: &TokenDigest,
        now: Moment,
    ) -> Result<Found, FetchOutcome> {
        let (status, body) = match answer {
            FetchAnswer::Response { status, body } => (*status, *body),
            FetchAnswer::Failed => return Err(FetchOutcome::Failed),
        };
        match (&self.policy.protocol, status) {
            (Protocol::Keyswap, 200) => record::read(body, subject)
                .map(|(record, version)| Found::Record(record, version))
                .ok_or(FetchOutcome::Malformed),
            (Protocol::Keyswap, 404) if record::says_unknown(body) => Ok(Found::Nothing),
            (Protocol::Introspection { providers, audiences }, 200) => {
                introspection::read(body, digest, providers, audiences, now).ok_or(FetchOutcome::Malformed)
            }
            // That our credential is wrong, or that there is too much to do, is about every token.
            (_, 401 | 403 | 429 | 500..) => Err(FetchOutcome::Unavailable),
            _ => Err(FetchOutcome::Malformed),
        }
    }

    /// A record that another worker looked up, if it may be believed.
    fn shared(
        &self,
        state: &Memory,
        subject: &Subject,
        digest: &TokenDigest,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Held> {
        let place = state.place(digest);
        let value = store.get(&Kind::Record.key(place.bytes())).ok()??;
        let slot = Slot::decode(&value, &place)?;
        let is_fresh = now.is_within(self.policy.positive, slot.asked_at)
            && state.feed.has_heard_of(slot.as_of.max(slot.version));
        if !is_fresh || !state.feed.believes(digest, slot.version, slot.as_of) {
            return None;
        }
        let (record, _) = record::read(slot.record?, subject)?;
        Some(Held::new(Arc::new(record), slot.version, slot.asked_at, self.policy.positive))
    }

    /// The call that renews a record before it is too old, if one is due and this worker is the one to make it.
    fn refresh(
        &self,
        state: &mut Memory,
        wanted: Wanted<'_>,
        subject: &Subject,
        digest: &TokenDigest,
        now: Moment,
        store: &dyn Store,
    ) -> Option<Fetch> {
        let held = state.records.get_mut(digest)?;
        if now < held.refresh_at {
            return None;
        }
        held.refresh_at = now.after(LEASE);
        let (version, asked_at) = (held.version, held.asked_at);
        // Another worker may have renewed it already.
        let is_newer = |other: &Held| other.asked_at > asked_at && other.version >= version;
        if let Some(renewed) = self.shared(state, subject, digest, now, store).filter(is_newer) {
            state.records.insert(*digest, renewed);
            return None;
        }
        let may_ask = slot::lease(store, &state.place(digest), now, now.after(LEASE));
        may_ask.then(|| self.fetch(state, wanted, now))
    }
}

/// What a registry said.
enum Found {
    /// A record and its version.
    Record(TokenRecord, u64),
    Nothing,
}

impl Found {
    fn is_believed(&self, feed: &Feed, digest: &TokenDigest, as_of: u64) -> bool {
        match self {
            Self::Record(_, version) => feed.believes(digest, *version, as_of),
            Self::Nothing => feed.believes_absence(digest, as_of),
        }
    }
}
