//! The worker's memory of a registry: records, unknown tokens, the feed, and the budget for further calls.
//!
//! All of it is bounded. Guessing tokens takes from a budget; a token that was known once is no guess.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::Breaker;
use super::feed::{self, Feed};
use super::shared_record;
use super::usage::Usage;
use crate::base::{Cache, Digest, Moment, Pause};
use crate::host::Store;
use crate::identity::CallerRecord;
use crate::limit::{Gcra, RateLimit};
use crate::policy::RegistryPolicy;
use crate::services::fetch::{AsOf, FetchOutcome, Subject};

/// An answer that never came is no longer waited for.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(30);
/// The records that a worker holds.
const MAX_RECORDS: usize = 4096;
/// The unknown tokens that a worker remembers.
const MAX_UNKNOWN: usize = 1024;
/// The lookups of unknown tokens, and the seconds that they count in: guessing tokens does not load the registry.
const MAX_GUESSES: (u32, u32) = (100, 2);

/// The worker's memory of a registry.
pub(super) struct Memory {
    pub(super) records: Cache<Held>,
    pub(super) unknown: Cache<Moment>,
    /// Those whose answers made no sense, and when they were asked for.
    pub(super) unreadable: Cache<Moment>,
    /// The calls on their way that were taken from the budget.
    charged: BTreeSet<Digest>,
    /// Which registry, and how often it was put back: others' records in shared memory are not this one's.
    scope: Digest,
    resets: u64,
    /// How far ahead the budget for unknown tokens is spent, see [`Gcra`]. A call takes from it, and gives back what it
    /// took if the token is known.
    spent: Option<i64>,
    pub(super) breaker: Breaker,
    pub(super) feed: Feed,
    pub(super) feed_pause: Pause,
    /// When the question was asked whose answer is the newest part of the feed.
    pub(super) heard_at: Moment,
    pub(super) usage: Usage,
    /// How many requests were to be counted.
    pub(super) counted: u64,
}

/// A record in the worker's memory.
pub(super) struct Held {
    pub(super) record: Arc<CallerRecord>,
    pub(super) version: u64,
    pub(super) asked_at: Moment,
    /// When to think of asking anew.
    pub(super) refresh_at: Moment,
}

impl Memory {
    pub(super) fn new(policy: &RegistryPolicy) -> Self {
        Self {
            records: Cache::new(MAX_RECORDS),
            unknown: Cache::new(MAX_UNKNOWN),
            unreadable: Cache::new(MAX_UNKNOWN),
            charged: BTreeSet::new(),
            scope: scope(policy),
            resets: 0,
            spent: None,
            breaker: Breaker::default(),
            feed: Feed::default(),
            feed_pause: Pause::at_most(LOST_AFTER),
            heard_at: Moment::default(),
            usage: Usage::default(),
            counted: 0,
        }
    }

    pub(super) fn remembered(&mut self, digest: &Digest, positive: Duration, now: Moment) -> Option<&Held> {
        // What is too old stays, though not to be believed: that it was known once keeps it out of the budget.
        self.records.get(digest).filter(|held| now.is_within(positive, held.asked_at))
    }

    /// Returns the digest that stands for the record in shared memory.
    pub(super) fn place(&self, digest: &Digest) -> Digest {
        Digest::of(&[&self.scope.bytes()[..], &self.resets.to_be_bytes(), digest.bytes()].concat())
    }

    pub(super) fn hold(&mut self, digest: Digest, held: Held) {
        self.unknown.remove(&digest);
        self.records.insert(digest, held);
    }

    pub(super) fn is_ready(&mut self, digest: &Digest, now: Moment) -> bool {
        (self.records.contains(digest) || self.has_budget(now).is_some()) && self.breaker.is_ready(now)
    }

    /// Returns the budget after one more call; `None` where the budget allows no more.
    fn has_budget(&mut self, now: Moment) -> Option<i64> {
        let (spent, taken) = budget()?.take(self.spent, now.nanoseconds());
        if !taken.allowed {
            // Where the clock was put back this is less than before.
            self.spent = Some(spent);
        }
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
            self.spent = Some(spent);
            self.charged.insert(guess);
        }
        may_call
    }

    /// A guess that was right gets back what it took.
    pub(super) fn settle(&mut self, digest: &Digest, outcome: FetchOutcome) {
        let was_charged = self.charged.remove(digest);
        if was_charged && matches!(outcome, FetchOutcome::Found | FetchOutcome::Stale) {
            self.spent = self.spent.zip(budget()).map(|(spent, budget)| budget.give_back(spent));
        }
    }

    pub(super) fn follow(&mut self, part: &feed::Part, store: &dyn Store) {
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
            self.unreadable.remove(digest);
            // Where it cannot be buried for all, each worker still does not believe it.
            let _ = shared_record::bury(store, self.place(digest), *sequence);
        }
        self.feed.follow(part);
    }

    pub(super) fn as_of(&self, now: Moment) -> AsOf {
        AsOf { at: now, change: self.feed.position().unwrap_or_default() }
    }
}

impl Held {
    pub(super) fn new(record: Arc<CallerRecord>, version: u64, asked_at: Moment, positive: Duration) -> Self {
        Self { record, version, asked_at, refresh_at: asked_at.after(positive / 2) }
    }

    /// It is too old from now on.
    pub(super) fn disbelieve(&mut self) {
        self.asked_at = Moment::default();
    }
}

/// Which registry it is, and what its answers mean.
fn scope(policy: &RegistryPolicy) -> Digest {
    let meaning = format!("{}{}\0{:?}", policy.url.authority, policy.url.path, policy.protocol);
    Digest::of(meaning.as_bytes())
}

fn budget() -> Option<Gcra> {
    RateLimit::new(MAX_GUESSES.0, MAX_GUESSES.1).map(Gcra::new)
}
