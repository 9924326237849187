//! Tokens and people that are known elsewhere: looked up, remembered for a while, forgotten when they change.
//!
//! A record is taken from the worker's memory, else from the memory that workers share, else from the registry. None of
//! them is believed for longer than the policy says, nor after the registry told of a change. Whoever cannot be asked
//! lets nobody in: only what is remembered still counts.

mod breaker;
mod feed;
mod introspection;
mod record;
mod slot;
mod usage;
mod wanted;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use self::breaker::Breaker;
use self::feed::Feed;
use self::slot::Slot;
use self::usage::Usage;
pub(crate) use self::wanted::{Wanted, person};
use crate::cache::Cache;
use crate::fetch::{Asked, Fetch, FetchAnswer, FetchKey, FetchOutcome, FetchRequest, Resolution, Subject};
use crate::limit::{Gcra, RateLimit};
use crate::policy::{Protocol, RegistryPolicy};
use crate::secret::Secret;
use crate::store::{Kind, Store};
use crate::time::Moment;
use crate::token::{TokenDigest, TokenRecord};

/// So many records a worker holds.
const RECORDS: usize = 4096;
/// So many unknown tokens a worker remembers.
const UNKNOWN: usize = 1024;
/// So many unknown tokens in so many seconds may be asked for: whoever guesses tokens does not load the registry with it.
const MOST_UNKNOWN: (u32, u32) = (100, 2);
/// A worker that asks anew for a record has so long for it.
const LEASE: Duration = Duration::from_secs(5);
/// The feed is asked to wait so long for a change; a connection that died is noticed after that.
const FEED_WAIT: Duration = Duration::from_secs(4);
/// The longest pause after the feed failed.
const LONGEST_FEED_PAUSE: Duration = Duration::from_secs(10);
/// An answer that never came is no longer waited for.
const LOST: Duration = Duration::from_secs(30);

/// The registry of a policy, and what is remembered of it.
pub(crate) struct Registry {
    policy: RegistryPolicy,
    authorization: Secret,
    state: RefCell<State>,
}

struct State {
    records: Cache<Held>,
    unknown: Cache<Moment>,
    /// Those whose answers made no sense, and when they were asked for.
    senseless: Cache<Moment>,
    /// The calls on their way that were taken from the budget.
    charged: BTreeSet<TokenDigest>,
    /// Which registry, and how often it was put back: others' records in shared memory are not this one's.
    scope: [u8; 32],
    resets: u64,
    /// How far ahead the budget for unknown tokens is spent, see [`Gcra`]. A call takes from it, and gives back what it
    /// took if the token is known.
    spent: Option<i64>,
    breaker: Breaker,
    feed: Feed,
    feed_failures: u32,
    feed_due: Moment,
    usage: Usage,
}

/// A record in the worker's memory.
struct Held {
    record: Arc<TokenRecord>,
    version: u64,
    asked_at: Moment,
    /// When to think of asking anew.
    refresh_at: Moment,
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
    pub(crate) fn new(policy: RegistryPolicy, credential: &Secret) -> Self {
        let state = State {
            records: Cache::new(RECORDS),
            unknown: Cache::new(UNKNOWN),
            senseless: Cache::new(UNKNOWN),
            charged: BTreeSet::new(),
            scope: scope(&policy),
            resets: 0,
            spent: None,
            breaker: Breaker::default(),
            feed: Feed::default(),
            feed_failures: 0,
            feed_due: Moment::default(),
            usage: Usage::default(),
        };
        Self { policy, authorization: credential.with_scheme("Bearer"), state: RefCell::new(state) }
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

    /// Whether the call for a token or person is made: asked once for each.
    pub(crate) fn may_call(&self, subject: &Subject, now: Moment) -> bool {
        self.state.try_borrow_mut().is_ok_and(|mut state| state.may_call(subject, now))
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

    /// What came of asking for a token or person. The resolution is for the requests that wait for it.
    pub(crate) fn accept_record(
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
    pub(crate) fn accept_changes(
        &self,
        answer: &FetchAnswer<'_>,
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
                state.feed_due = now;
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
    pub(crate) fn accept_usage(&self, answer: &FetchAnswer<'_>, now: Moment) -> FetchOutcome {
        let Ok(mut state) = self.state.try_borrow_mut() else { return FetchOutcome::Failed };
        let outcome = match answer {
            FetchAnswer::Response { status: 200..=299, .. } => FetchOutcome::Found,
            FetchAnswer::Response { .. } => FetchOutcome::Unavailable,
            FetchAnswer::Failed => FetchOutcome::Failed,
        };
        state.usage.settle(outcome == FetchOutcome::Found, now);
        outcome
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
            due.push(Fetch::new(FetchKey(Subject::Usage), request, state.asked(now)));
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
        state: &State,
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
        state: &mut State,
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

    fn fetch(&self, state: &State, wanted: Wanted<'_>, now: Moment) -> Fetch {
        let timeout = self.policy.timeout;
        let request =
            if let (Protocol::Introspection { .. }, Wanted::Token(token)) = (&self.policy.protocol, wanted) {
                let fields = vec![
                    (":method", "POST".to_owned()),
                    ("content-type", "application/x-www-form-urlencoded".to_owned()),
                ];
                self.request("", fields, Some(introspection::question(token)), timeout)
            } else {
                self.request(&wanted.path(), vec![(":method", "GET".to_owned())], None, timeout)
            };
        Fetch::new(wanted.key(), request, state.asked(now))
    }

    fn changes(&self, state: &State, now: Moment) -> Fetch {
        let path = match state.feed.position() {
            Some(position) => format!("/v1/changes?since={position}&wait={}", FEED_WAIT.as_secs()),
            None => "/v1/changes".to_owned(),
        };
        let timeout = FEED_WAIT + self.policy.timeout;
        let request = self.request(&path, vec![(":method", "GET".to_owned())], None, timeout);
        Fetch::new(FetchKey(Subject::Changes), request, state.asked(now))
    }

    fn request(
        &self,
        path: &str,
        fields: Vec<(&'static str, String)>,
        body: Option<Zeroizing<Vec<u8>>>,
        timeout: Duration,
    ) -> FetchRequest {
        let mut headers: Vec<(&'static str, Zeroizing<String>)> = vec![
            (":path", format!("{}{path}", self.policy.url.path).into()),
            (":authority", self.policy.url.authority.clone().into()),
            ("accept", "application/json".to_owned().into()),
            ("authorization", self.authorization.reveal_to_registry(self)),
        ];
        // Pseudo-headers come first.
        for (name, value) in fields {
            let at = if name.starts_with(':') { 0 } else { headers.len() };
            headers.insert(at, (name, value.into()));
        }
        FetchRequest { cluster: self.policy.cluster.clone(), headers, body, timeout }
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

impl State {
    fn remembered(
        &mut self,
        digest: &TokenDigest,
        positive: Duration,
        now: Moment,
    ) -> Option<Arc<TokenRecord>> {
        // What is too old stays, though not to be believed: that it was known once keeps it out of the budget.
        let held = self.records.get(digest)?;
        now.is_within(positive, held.asked_at).then(|| Arc::clone(&held.record))
    }

    /// What stands for the record in shared memory.
    fn place(&self, digest: &TokenDigest) -> TokenDigest {
        TokenDigest::of(&[&self.scope[..], &self.resets.to_be_bytes(), digest.bytes()].concat())
    }

    fn hold(&mut self, digest: TokenDigest, held: Held) {
        self.unknown.remove(&digest);
        self.records.insert(digest, held);
    }

    fn is_ready(&mut self, digest: &TokenDigest, now: Moment) -> bool {
        (self.records.contains(digest) || self.has_budget(now).is_some()) && self.breaker.is_ready(now)
    }

    /// What the budget is after one more, if there is one more.
    fn has_budget(&mut self, now: Moment) -> Option<i64> {
        let (spent, taken) = budget()?.take(self.spent, nanoseconds(now));
        if !taken.allowed {
            // Where the clock was put back this is less than before.
            self.spent = Some(spent);
        }
        taken.allowed.then_some(spent)
    }

    /// Who was known before, and a person whose identity was verified, is no guess and costs nothing.
    fn may_call(&mut self, subject: &Subject, now: Moment) -> bool {
        let guess = match subject {
            Subject::Token(digest) => (!self.records.contains(digest)).then_some(*digest),
            _ => None,
        };
        let Some(guess) = guess else { return self.breaker.admit(now) };
        let Some(spent) = self.has_budget(now) else { return false };
        let may_call = self.breaker.admit(now);
        if may_call {
            self.spent = Some(spent);
            self.charged.insert(guess);
        }
        may_call
    }

    /// A guess that was right gets back what it took.
    fn settle(&mut self, digest: &TokenDigest, outcome: FetchOutcome) {
        let was_charged = self.charged.remove(digest);
        if was_charged && matches!(outcome, FetchOutcome::Found | FetchOutcome::Stale) {
            self.spent = self.spent.zip(budget()).map(|(spent, budget)| budget.give_back(spent));
        }
    }

    fn follow(&mut self, part: &feed::Part, store: &dyn Store) {
        if part.reset {
            self.resets = self.resets.wrapping_add(1);
            self.records.values_mut().for_each(Held::disbelieve);
            self.unknown.clear();
        } else if self.feed.position().is_none() {
            // What changed between a lookup and the beginning of the feed is not known: each is renewed when it is used.
            self.records.values_mut().for_each(|held| held.refresh_at = Moment::default());
            self.unknown.clear();
        }
        for (digest, sequence) in &part.records {
            if let Some(held) = self.records.get_mut(digest).filter(|held| held.version < *sequence) {
                held.disbelieve();
            }
            self.unknown.remove(digest);
            self.senseless.remove(digest);
            // Where it cannot be buried for all, each worker still does not believe it.
            let _ = slot::bury(store, self.place(digest), *sequence);
        }
        self.feed.follow(part);
    }

    fn asked(&self, now: Moment) -> Asked {
        Asked { at: now, as_of: self.feed.position().unwrap_or_default() }
    }
}

impl Held {
    fn new(record: Arc<TokenRecord>, version: u64, asked_at: Moment, positive: Duration) -> Self {
        Self { record, version, asked_at, refresh_at: asked_at.after(positive / 2) }
    }

    /// It is too old from now on.
    fn disbelieve(&mut self) {
        self.asked_at = Moment::default();
    }
}

/// Which registry it is, and what its answers mean.
fn scope(policy: &RegistryPolicy) -> [u8; 32] {
    let meaning = format!("{}{}\0{:?}", policy.url.authority, policy.url.path, policy.protocol);
    *TokenDigest::of(meaning.as_bytes()).bytes()
}

fn budget() -> Option<Gcra> {
    RateLimit::new(MOST_UNKNOWN.0, MOST_UNKNOWN.1).map(Gcra::new)
}

fn nanoseconds(now: Moment) -> i64 {
    i64::try_from(now.0).unwrap_or(i64::MAX)
}
