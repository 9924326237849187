//! The requests that a candidate policy decides: those of a share of all principals, always the same ones. After it
//! refused requests of too many principals that the stable policy would have forwarded, the candidate decides none.
//!
//! A principal has one vote within the window, however many of its requests are refused: no caller ends a trial alone.
//!
//! All workers of a process share that failure, which lasts until another document is in force.

use std::cell::Cell;

use crate::base::{Digest, Moment};
use crate::host::{SharedValue, SlotKey, SlotKind, Store, Update};
use crate::judge::Share;
use crate::policy::Fallback;

pub(super) struct Canary {
    /// The key of the rollout in shared memory.
    digest: Digest,
    percent: u8,
    compare: u8,
    fallback: Option<Fallback>,
    has_failed: Cell<bool>,
}

/// The bytes of a principal's digest that stand for it among the votes.
const VOTE_BYTES: usize = 8;

/// The votes of a window, as workers share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Votes<'v> {
    since: Moment,
    has_failed: bool,
    /// The beginnings of the digests of the principals, one after the other.
    principals: &'v [u8],
}

impl Canary {
    pub(super) fn new(digest: Digest, percent: u8, compare: u8, fallback: Option<Fallback>) -> Self {
        let digest = Digest::of(&[b"votes\0", &digest.bytes()[..]].concat());
        Self { digest, percent, compare, fallback, has_failed: Cell::default() }
    }

    /// Returns the share that the candidate decides for: none once it has failed.
    pub(super) fn share(&self) -> Share {
        Share(if self.has_failed.get() { 0 } else { self.percent })
    }

    /// Tells whether a request that the stable policy decides is judged by the candidate, too, for comparison.
    pub(super) fn compares(&self, now: Moment) -> bool {
        Share(self.compare).samples(now)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// Notes that the candidate refused a request of this principal that the stable policy would have forwarded. Returns
    /// whether that was one principal too many.
    pub(super) fn refused(&self, principal: &Digest, now: Moment, store: &dyn Store) -> bool {
        let Some(fallback) = self.fallback.filter(|_| !self.has_failed.get()) else { return false };
        let (vote, _) = principal.bytes().split_at(VOTE_BYTES);
        let mut fails = false;
        let counted = store.update(&self.place(), &mut |value| {
            let stored = value.and_then(|value| self.decode(value)).unwrap_or_default();
            let is_current = now.is_within(fallback.window, stored.since);
            let votes = if is_current { stored } else { Votes { since: now, principals: &[], ..stored } };
            let has_voted = votes.principals.chunks_exact(VOTE_BYTES).any(|other| other == vote);
            let count = votes.count().saturating_add(usize::from(!has_voted));
            fails = u32::try_from(count).is_ok_and(|count| count >= fallback.principals);
            if has_voted && !fails {
                return Update::Keep;
            }
            let principals = [votes.principals, if has_voted { &[] } else { vote }].concat();
            let has_failed = votes.has_failed || fails;
            Update::Set(self.encode(Votes { has_failed, principals: &principals, ..votes }))
        });
        // Refusals that cannot be counted might be too many.
        let fails = fails || counted.is_err();
        self.has_failed.set(fails);
        fails
    }

    /// Takes over that the candidate failed on another worker.
    pub(super) fn adopt_shared(&self, store: &dyn Store) {
        if self.fallback.is_some() && !self.has_failed.get() {
            let value = store.get(&self.place()).ok().flatten();
            let stored = value.as_deref().and_then(|value| self.decode(value));
            self.has_failed.set(stored.is_some_and(|stored| stored.has_failed));
        }
    }

    fn place(&self) -> SlotKey {
        SlotKind::Rollout.key(&self.digest)
    }

    fn encode(&self, Votes { since, has_failed, principals }: Votes<'_>) -> Vec<u8> {
        SharedValue { numbers: [since.0, u64::from(has_failed)], bytes: principals }.encode(&self.digest)
    }

    fn decode<'v>(&self, value: &'v [u8]) -> Option<Votes<'v>> {
        let SharedValue { numbers: [since, has_failed @ (0 | 1)], bytes } =
            SharedValue::decode(value, &self.digest)?
        else {
            return None;
        };
        let is_whole = bytes.len().is_multiple_of(VOTE_BYTES);
        is_whole.then_some(Votes { since: Moment(since), has_failed: has_failed == 1, principals: bytes })
    }
}

impl Votes<'_> {
    fn count(&self) -> usize {
        self.principals.len() / VOTE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::MemoryStore;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    fn canary(percent: u8, fallback: Option<Fallback>) -> Canary {
        Canary::new(Digest::of(b"document"), percent, 100, fallback)
    }

    fn decides(canary: &Canary, now: Moment) -> bool {
        canary.share().includes(Some(&Digest::of(b"principal")), now)
    }

    fn principal(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    #[test]
    fn refusals_of_too_many_principals_within_the_window_end_it_on_every_worker() {
        let fallback = Some(Fallback { principals: 3, window: Duration::from_mins(1) });
        let store = MemoryStore::default();
        let (one, other) = (canary(100, fallback), canary(100, fallback));
        let at = |seconds| NOW.after(Duration::from_secs(seconds));
        let [a, b, c] = ["a", "b", "c"].map(principal);
        assert!(!one.refused(&a, at(0), &store) && !other.refused(&b, at(1), &store));
        // The window is over: it begins anew.
        assert!(!one.refused(&a, at(60), &store) && !one.refused(&b, at(61), &store));
        assert!(decides(&other, at(61)));
        assert!(other.refused(&c, at(62), &store), "the third within a minute");
        assert!(!decides(&other, at(62)));
        assert!(decides(&one, at(62)), "it has not heard yet");
        one.adopt_shared(&store);
        assert!(!decides(&one, at(62)) && one.has_failed());
        // A worker that begins later takes the failure over, too; one with another document does not.
        let late = canary(100, fallback);
        late.adopt_shared(&store);
        assert!(late.has_failed());
        let next = Canary::new(Digest::of(b"another"), 100, 100, fallback);
        next.adopt_shared(&store);
        assert!(!next.has_failed());
    }

    #[test]
    fn a_principal_has_one_vote_on_all_workers_together() {
        let fallback = Some(Fallback { principals: 2, window: Duration::from_mins(1) });
        let store = MemoryStore::default();
        let (one, other) = (canary(100, fallback), canary(100, fallback));
        for second in 0..50 {
            let now = NOW.after(Duration::from_secs(second));
            assert!(
                !one.refused(&principal("a"), now, &store) && !other.refused(&principal("a"), now, &store)
            );
        }
        assert!(other.refused(&principal("b"), NOW.after(Duration::from_secs(59)), &store));
        // Where one is enough, the first refusal is.
        let alone = canary(100, Some(Fallback { principals: 1, window: Duration::from_mins(1) }));
        assert!(alone.refused(&principal("a"), NOW, &MemoryStore::default()));
    }

    #[test]
    fn garbage_in_shared_memory_counts_for_nothing() {
        let fallback = Some(Fallback { principals: 2, window: Duration::from_mins(1) });
        let store = MemoryStore::default();
        let canary = canary(100, fallback);
        let digest = canary.digest.bytes().to_vec();
        for garbage in [
            vec![],
            vec![0],
            vec![1; 56],
            [digest.clone(), vec![1; 8], vec![2], vec![0; 7]].concat(),
            [digest.clone(), vec![1; 8], vec![1], vec![0; 8]].concat(),
            [digest, vec![1; 14]].concat(),
        ] {
            store.update(&canary.place(), &mut |_| Update::Set(garbage.clone())).unwrap();
            canary.adopt_shared(&store);
            assert!(!canary.has_failed() && !canary.refused(&principal("a"), NOW, &store), "{garbage:?}");
            store.update(&canary.place(), &mut |_| Update::Set(Vec::new())).unwrap();
        }
    }
}
