//! The objects that a worker knows: their holders, the claims that the registry has not confirmed, and what was deleted.
//!
//! All of it is bounded. A claim that does not reach the registry in time is given up: its object belongs to no caller.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::object_guesses::Guesses;
use super::object_holder::Holder;
use crate::base::{Cache, Digest, Moment, Pause};
use crate::provider::objects::digest_of;

/// The most objects that a worker knows.
const MAX_KNOWN: usize = 8192;
/// The most claims and the most deletions that wait to be told.
const MAX_WAITING: usize = 2000;
/// The most objects of a call: the registry takes no more.
pub(super) const BATCH: usize = 50;
/// The time for which a claim is repeated, and the pause between two calls for it.
const CLAIM_TIME: Duration = Duration::from_mins(10);
const CLAIM_PAUSE: Duration = Duration::from_secs(5);
/// The pause after a call for deletions.
const REMOVAL_PAUSE: Duration = Duration::from_secs(1);
const LOST_AFTER: Duration = Duration::from_secs(30);

/// An object that a caller made.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) provider: String,
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) holder: Holder,
    pub(crate) owner: Option<String>,
}

/// The knowledge of one object.
pub(super) struct KnownObject {
    /// The holder; `None` where the registry does not know the object.
    pub(super) holder: Option<Holder>,
    pub(super) version: u64,
    /// The moment of which the knowledge is: that of the question or of the claim, or of the answer's issue if it is earlier.
    pub(super) asked_at: Moment,
    /// The moment of the question.
    pub(super) called_at: Moment,
}

/// A claim that the registry has not confirmed.
pub(super) struct Waiting {
    pub(super) claims: Vec<Claim>,
    /// The moment after which it is given up.
    until: Moment,
    /// The moment from which it is told again.
    pub(super) due_at: Moment,
    /// Set once a part of it was confirmed.
    pub(super) has_progress: bool,
}

pub(super) struct ObjectMemory {
    pub(super) known: Cache<KnownObject>,
    pub(super) waiting: BTreeMap<u64, Waiting>,
    removed: BTreeSet<Digest>,
    sent: Vec<Digest>,
    pause: Pause,
    pub(super) guesses: Guesses,
    /// The lookups whose answers were out of date.
    stale: BTreeSet<u64>,
    /// The number of the last call before all objects were forgotten.
    forgotten: u64,
    /// The number of the last call or claim.
    pub(super) number: u64,
}

impl Default for ObjectMemory {
    fn default() -> Self {
        Self {
            known: Cache::new(MAX_KNOWN),
            waiting: BTreeMap::new(),
            removed: BTreeSet::new(),
            sent: Vec::new(),
            pause: Pause::at_most(LOST_AFTER),
            guesses: Guesses::default(),
            stale: BTreeSet::new(),
            forgotten: 0,
            number: 0,
        }
    }
}

impl Claim {
    /// Returns the digest of the object.
    pub(crate) fn digest(&self) -> Digest {
        digest_of(&self.provider, self.id.as_bytes())
    }
}

impl ObjectMemory {
    pub(super) fn next(&mut self) -> u64 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// Forgets an object that has changed since it was known.
    pub(super) fn forget_before(&mut self, digest: &Digest, version: u64) {
        if self.known.get(digest).is_some_and(|known| known.version < version) {
            self.known.remove(digest);
        }
    }

    /// Forgets all objects, also those of lookups on their way: their answers will be out of date.
    pub(super) fn forget_all(&mut self) {
        self.known.clear();
        self.forgotten = self.number;
    }

    /// Notes that the answer to a lookup was out of date.
    pub(super) fn note_stale(&mut self, number: u64) {
        if self.stale.len() >= MAX_WAITING {
            self.stale.pop_first();
        }
        self.stale.insert(number);
    }

    /// Returns whether a lookup has told nothing that is known now, and another one may.
    pub(super) fn is_outdated(&self, number: u64) -> bool {
        number <= self.forgotten || self.stale.contains(&number)
    }

    /// Takes a claim, which is told until the registry has confirmed it. Returns its number; `None` where there is no room.
    pub(super) fn wait(&mut self, claims: Vec<Claim>, now: Moment) -> Option<u64> {
        if self.waiting.len() >= MAX_WAITING {
            return None;
        }
        let number = self.next();
        let (until, due_at) = (now.after(CLAIM_TIME), now.after(CLAIM_PAUSE));
        self.waiting.insert(number, Waiting { claims, until, due_at, has_progress: false });
        Some(number)
    }

    /// Returns the numbers of the claims that are due, and gives up those that have waited too long.
    pub(super) fn due(&mut self, now: Moment) -> Vec<u64> {
        self.waiting.retain(|_, waiting| now < waiting.until);
        let due = self.waiting.iter_mut().filter(|(_, waiting)| waiting.due_at <= now);
        let begun = due.take(BATCH).map(|(number, waiting)| {
            waiting.due_at = now.after(CLAIM_PAUSE);
            *number
        });
        begun.collect()
    }

    /// Notes that an object was deleted.
    pub(super) fn remove(&mut self, digest: Digest) {
        self.known.remove(&digest);
        if self.removed.len() < MAX_WAITING {
            self.removed.insert(digest);
        }
    }

    /// Tells whether the registry has taken all claims and deletions.
    pub(super) fn is_told(&self) -> bool {
        self.waiting.is_empty() && self.removed.is_empty() && self.sent.is_empty()
    }

    /// Returns the deletions that are due to be told.
    pub(super) fn removals(&mut self, now: Moment) -> Option<&[Digest]> {
        if !self.pause.is_over(now) || (self.removed.is_empty() && self.sent.is_empty()) {
            return None;
        }
        self.removed.extend(self.sent.drain(..));
        while self.sent.len() < BATCH {
            let Some(digest) = self.removed.pop_first() else { break };
            self.sent.push(digest);
        }
        self.pause.begin(LOST_AFTER, now);
        Some(&self.sent)
    }

    /// Settles the deletions that were told: `done` if the registry took them.
    pub(super) fn settle_removal(&mut self, done: bool, now: Moment) {
        if done {
            self.sent.clear();
        }
        self.pause.begin(REMOVAL_PAUSE, now);
    }
}
