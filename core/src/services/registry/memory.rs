//! The worker's cache of a registry: records, unknown tokens, the feed, and the budget for further calls.
//!
//! All of it is bounded. Only lookups of tokens that were never known count against the lookup budget.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::Breaker;
use super::feed::{self, Feed};
use super::lookup_key::LookupKey;
use super::object_memory::ObjectMemory;
use super::shared_record;
use super::signed_record::RecordFault;
use super::spend::Spend;
use super::usage::Usage;
use crate::base::{Cache, Digest, Moment, Pause};
use crate::host::{SlotKind, Store};
use crate::identity::CallerRecord;
use crate::identity::jwt::JwkSet;
use crate::limit::{Gcra, RateLimit};
use crate::policy::RegistryPolicy;
use crate::services::fetch::{AsOf, FetchOutcome, Subject};

/// The time after which an answer is no longer waited for.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(30);
/// The most records that a worker caches.
const MAX_RECORDS: usize = 4096;
/// The most unknown tokens that a worker caches.
const MAX_UNKNOWN: usize = 1024;
/// The most people without a record that a worker caches. An issuer vouches for each, and none is shared.
const MAX_ABSENT: usize = 16_384;
/// The lookup budget: the lookups of unknown tokens, and the seconds in which they count. So guessed tokens do not load
/// the registry.
const MAX_GUESSES: (u32, u32) = (100, 2);

/// The worker's cache of a registry.
pub(super) struct Memory {
    pub(super) records: Cache<Held>,
    /// Tokens that the registry does not know: guesses, so they have a cache of their own.
    pub(super) unknown: Cache<Moment>,
    /// People whom an issuer vouches for and the registry does not know.
    pub(super) absent: Cache<Moment>,
    /// Tokens and people with malformed answers, and the moment at which each was requested.
    pub(super) unreadable: Cache<Moment>,
    /// The last fault of an answer that should have been signed; `None` after one that was.
    pub(super) unsigned: Option<RecordFault>,
    /// The calls on their way that were charged to the budget.
    charged: BTreeSet<Digest>,
    /// The registry's address and protocol: records of another one in shared memory are not this one's.
    scope: Digest,
    /// The number of times that the registry began a new history.
    resets: u64,
    /// The theoretical arrival time of the lookup budget, see [`Gcra`], and the time at which it was that. A call takes from
    /// the budget, and gives back what it took if the token is known.
    spent: Option<(i64, i64)>,
    pub(super) breaker: Breaker,
    pub(super) feed: Feed,
    pub(super) feed_pause: Pause,
    /// The moment of the call whose answer is the newest part of the feed.
    pub(super) heard_at: Moment,
    pub(super) usage: Usage,
    pub(super) spend: Spend,
    pub(super) objects: ObjectMemory,
    /// The number of requests that were to be counted.
    pub(super) counted: u64,
}

/// A record in the worker's memory.
pub(super) struct Held {
    pub(super) record: Arc<CallerRecord>,
    pub(super) version: u64,
    pub(super) asked_at: Moment,
    /// The moment from which a renewal is due.
    pub(super) refresh_at: Moment,
}

impl Memory {
    /// Returns an empty cache. What requests took is gathered for `gathering`.
    pub(super) fn new(policy: &RegistryPolicy, gathering: Duration) -> Self {
        Self {
            records: Cache::new(MAX_RECORDS),
            unknown: Cache::new(MAX_UNKNOWN),
            absent: Cache::new(MAX_ABSENT),
            unreadable: Cache::new(MAX_UNKNOWN),
            unsigned: None,
            charged: BTreeSet::new(),
            scope: scope(policy),
            resets: 0,
            spent: None,
            breaker: Breaker::default(),
            feed: Feed::default(),
            feed_pause: Pause::at_most(LOST_AFTER),
            heard_at: Moment::default(),
            usage: Usage::default(),
            spend: Spend::new(gathering),
            objects: ObjectMemory::default(),
            counted: 0,
        }
    }

    pub(super) fn remembered(&mut self, digest: &Digest, positive: Duration, now: Moment) -> Option<&Held> {
        // A record that is too old stays, unused: a token that was known once is not charged to the lookup budget.
        self.records.get(digest).filter(|held| now.is_within(positive, held.asked_at))
    }

    /// Returns the digest that stands for the record in shared memory.
    pub(super) fn place(&self, digest: &Digest) -> Digest {
        Digest::of(&[&self.scope.bytes()[..], &self.resets.to_be_bytes(), digest.bytes()].concat())
    }

    /// Returns the digest that stands for a budget's subject in shared memory.
    pub(super) fn slice(&self, subject: &str) -> Digest {
        Digest::of(&[&self.scope.bytes()[..], subject.as_bytes()].concat())
    }

    /// Returns the moment at which the registry was asked for what it does not know.
    pub(super) fn absence(&self, key: LookupKey<'_>) -> Option<Moment> {
        let absences = if key.is_of_person() { &self.absent } else { &self.unknown };
        absences.get(&key.digest()).copied()
    }

    pub(super) fn hold(&mut self, digest: Digest, held: Held) {
        self.forget_absence(&digest);
        self.records.insert(digest, held);
    }

    fn forget_absence(&mut self, digest: &Digest) {
        self.unknown.remove(digest);
        self.absent.remove(digest);
    }

    fn forget_absences(&mut self) {
        self.unknown.clear();
        self.absent.clear();
    }

    /// Tells whether a call for the key might be made now.
    pub(super) fn is_ready(&mut self, key: LookupKey<'_>, now: Moment) -> bool {
        let is_guess = !key.is_of_person() && !self.records.contains(&key.digest());
        (!is_guess || self.has_budget(now).is_some()) && self.breaker.is_ready(now)
    }

    /// Returns the lookup budget after one more call; `None` where it allows no more.
    fn has_budget(&mut self, now: Moment) -> Option<i64> {
        let now = now.nanoseconds();
        if let Some((spent, at)) = self.spent.filter(|(_, at)| *at > now) {
            // A clock that was put back takes no guesses: as much is spent as before.
            self.spent = Some((spent.saturating_sub(at.saturating_sub(now)), now));
        }
        let (spent, taken) = budget()?.take(self.spent.map(|(spent, _)| spent), now);
        taken.allowed.then_some(spent)
    }

    /// Returns whether the call may be made, and charges the budget for a guess. A token that was known before, and a
    /// person whose identity was verified, is no guess and costs nothing.
    pub(super) fn may_call(&mut self, subject: &Subject, now: Moment) -> bool {
        let guess = match subject {
            Subject::Token(digest) => (!self.records.contains(digest)).then_some(*digest),
            _ => None,
        };
        let Some(guess) = guess else { return self.breaker.admit(now) };
        let Some(spent) = self.has_budget(now) else { return false };
        let may_call = self.breaker.admit(now);
        if may_call {
            self.spent = Some((spent, now.nanoseconds()));
            self.charged.insert(guess);
        }
        may_call
    }

    /// Gives back what a guess took from the budget, where the guess was right.
    pub(super) fn settle(&mut self, digest: &Digest, outcome: FetchOutcome) {
        let was_charged = self.charged.remove(digest);
        if was_charged && matches!(outcome, FetchOutcome::Found | FetchOutcome::Stale) {
            self.spent = self.spent.zip(budget()).map(|((spent, at), budget)| (budget.give_back(spent), at));
        }
    }

    pub(super) fn follow(&mut self, part: &feed::Part, store: &dyn Store) {
        if self.feed.is_new_history(part) {
            self.resets = self.resets.wrapping_add(1);
            self.records.values_mut().for_each(Held::disbelieve);
            self.forget_absences();
            self.objects.forget_all();
        } else if self.feed.position().is_none() {
            // Changes between a lookup and the beginning of the feed are not known, so each record is renewed at its
            // next use.
            self.records.values_mut().for_each(|held| held.refresh_at = Moment::default());
            self.forget_absences();
            self.objects.forget_all();
        }
        for (digest, sequence) in &part.records {
            if let Some(held) = self.records.get_mut(digest).filter(|held| held.version < *sequence) {
                held.disbelieve();
            }
            self.forget_absence(digest);
            self.unreadable.remove(digest);
            // Where no tombstone can be shared, each worker still drops the record itself.
            let _ = shared_record::bury(store, self.place(digest), *sequence);
            self.objects.forget_before(digest, *sequence);
            let _ = shared_record::bury_in(SlotKind::Object, store, self.place(digest), *sequence);
        }
        self.feed.follow(part);
    }

    /// Returns the note for operators on a fault of an unsigned answer; none if it was told already.
    pub(super) fn told(&mut self, fault: Option<RecordFault>) -> Vec<String> {
        let news = fault.filter(|_| fault != self.unsigned);
        self.unsigned = fault.or(self.unsigned);
        news.map(|fault| format!("an answer of the registry is not used: {fault}")).into_iter().collect()
    }

    pub(super) fn as_of(&self, now: Moment) -> AsOf {
        AsOf { at: now, position: self.feed.position().unwrap_or_default() }
    }
}

impl Held {
    pub(super) fn new(record: Arc<CallerRecord>, version: u64, asked_at: Moment, positive: Duration) -> Self {
        Self { record, version, asked_at, refresh_at: asked_at.after(positive / 2) }
    }

    /// Makes the record too old to be used.
    pub(super) fn disbelieve(&mut self) {
        self.asked_at = Moment::default();
    }
}

/// Returns the digest that stands for the registry and the meaning of its answers. Records that no pinned key has signed
/// are not those of a policy that pins keys.
fn scope(policy: &RegistryPolicy) -> Digest {
    let meaning = format!("{}{}\0{:?}", policy.url.authority, policy.url.path, policy.protocol);
    let mut meaning = meaning.into_bytes();
    for key in policy.keys.iter().flat_map(JwkSet::keys) {
        meaning.push(0);
        meaning.extend(key.spki());
    }
    Digest::of(&meaning)
}

fn budget() -> Option<Gcra> {
    RateLimit::new(MAX_GUESSES.0, MAX_GUESSES.1).map(Gcra::new)
}
