//! The requests that a candidate policy decides: those of a share of all principals, always the same ones. After too
//! many refusals that the stable policy would have forwarded, the candidate decides none.
//!
//! All workers of a process share that failure, which lasts until another document is in force.

use std::cell::Cell;

use crate::base::{Digest, Moment};
use crate::host::{SharedValue, SlotKind, Store, Update};
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

/// The refusals of a window, as workers share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    since: Moment,
    refusals: u64,
    has_failed: bool,
}

impl Canary {
    pub(super) fn new(digest: Digest, percent: u8, compare: u8, fallback: Option<Fallback>) -> Self {
        let digest = Digest::of(&[b"rollout\0", &digest.bytes()[..]].concat());
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

    /// Notes that the candidate refused a request that the stable policy would have forwarded. Returns whether that was
    /// one too many.
    pub(super) fn refused(&self, now: Moment, store: &dyn Store) -> bool {
        let Some(fallback) = self.fallback.filter(|_| !self.has_failed.get()) else { return false };
        let mut fails = false;
        let counted = store.update(&self.place(), &mut |value| {
            let stored = value.and_then(|value| self.decode(value)).unwrap_or_default();
            let is_current = now.is_within(fallback.window, stored.since);
            let count = Count {
                since: if is_current { stored.since } else { now },
                refusals: if is_current { stored.refusals.saturating_add(1) } else { 1 },
                has_failed: stored.has_failed,
            };
            fails = count.refusals >= u64::from(fallback.refusals);
            Update::Set(self.encode(Count { has_failed: count.has_failed || fails, ..count }))
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
            let stored = value.and_then(|value| self.decode(&value));
            self.has_failed.set(stored.is_some_and(|stored| stored.has_failed));
        }
    }

    fn place(&self) -> String {
        SlotKind::Rollout.key(&self.digest)
    }

    fn encode(&self, count: Count) -> Vec<u8> {
        let Count { since, refusals, has_failed } = count;
        SharedValue::of([since.0, refusals, u64::from(has_failed)]).encode(&self.digest)
    }

    fn decode(&self, value: &[u8]) -> Option<Count> {
        let [since, refusals, has_failed @ (0 | 1)] = SharedValue::numbers(value, &self.digest)? else {
            return None;
        };
        Some(Count { since: Moment(since), refusals, has_failed: has_failed == 1 })
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

    #[test]
    fn too_many_refusals_within_the_window_end_it_on_every_worker() {
        let fallback = Some(Fallback { refusals: 3, window: Duration::from_mins(1) });
        let store = MemoryStore::default();
        let (one, other) = (canary(100, fallback), canary(100, fallback));
        let at = |seconds| NOW.after(Duration::from_secs(seconds));
        assert!(!one.refused(at(0), &store) && !other.refused(at(1), &store));
        // The window is over: it begins anew.
        assert!(!one.refused(at(60), &store) && !one.refused(at(61), &store));
        assert!(decides(&other, at(61)));
        assert!(other.refused(at(62), &store), "the third within a minute");
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
    fn garbage_in_shared_memory_counts_for_nothing() {
        let fallback = Some(Fallback { refusals: 2, window: Duration::from_mins(1) });
        let store = MemoryStore::default();
        let canary = canary(100, fallback);
        let digest = canary.digest.bytes().to_vec();
        for garbage in [
            vec![],
            vec![0],
            vec![1; 56],
            [digest.clone(), vec![1; 16], vec![2], vec![0; 7]].concat(),
            [digest.clone(), vec![1; 16], vec![1], vec![0; 8]].concat(),
            [digest, vec![1; 14]].concat(),
        ] {
            store.update(&canary.place(), &mut |_| Update::Set(garbage.clone())).unwrap();
            canary.adopt_shared(&store);
            assert!(!canary.has_failed() && !canary.refused(NOW, &store), "{garbage:?}");
            store.update(&canary.place(), &mut |_| Update::Set(Vec::new())).unwrap();
        }
    }
}
