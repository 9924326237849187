//! Whose requests a candidate policy decides: a share of all principals, always the same ones; and nobody's any more once it
//! has refused too many that the stable policy would have forwarded.
//!
//! That it failed is told to all workers of a process, and holds until there is another document.

use std::cell::Cell;

use crate::policy::Fallback;
use crate::store::{Kind, Store, Update};
use crate::time::Moment;
use crate::token::TokenDigest;

pub(super) struct Canary {
    /// What the rollout is known by in shared memory.
    digest: TokenDigest,
    percent: u8,
    compare: u8,
    fallback: Option<Fallback>,
    has_failed: Cell<bool>,
}

/// The refusals of a window, as workers share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    since: Moment,
    refusals: u32,
    has_failed: bool,
}

impl Canary {
    pub(super) fn new(digest: TokenDigest, percent: u8, compare: u8, fallback: Option<Fallback>) -> Self {
        let digest = TokenDigest::of(&[b"rollout\0", &digest.bytes()[..]].concat());
        Self { digest, percent, compare, fallback, has_failed: Cell::default() }
    }

    /// Whether the candidate decides for a principal; for nobody that is known it is by the moment.
    pub(super) fn decides(&self, principal: Option<&TokenDigest>, now: Moment) -> bool {
        let lot = principal.map_or_else(|| lot_of_moment(now), lot_of_principal);
        !self.has_failed.get() && lot < u64::from(self.percent)
    }

    /// Whether a request that the stable policy decides is decided by the candidate, too, for comparison.
    pub(super) fn compares(&self, now: Moment) -> bool {
        self.compare == 100 || lot_of_moment(now) < u64::from(self.compare)
    }

    pub(super) fn percent(&self) -> u8 {
        if self.has_failed.get() { 0 } else { self.percent }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// The candidate refused what the stable policy would have forwarded. Whether that was one too many, just now.
    pub(super) fn refused(&self, now: Moment, store: &dyn Store) -> bool {
        let Some(fallback) = self.fallback.filter(|_| !self.has_failed.get()) else { return false };
        let mut fails = false;
        let counted = store.update(&self.place(), &mut |told| {
            let told = told.and_then(|told| self.decode(told)).unwrap_or_default();
            let is_current = now.is_within(fallback.window, told.since);
            let count = Count {
                since: if is_current { told.since } else { now },
                refusals: if is_current { told.refusals.saturating_add(1) } else { 1 },
                has_failed: told.has_failed,
            };
            fails = count.refusals >= fallback.refusals;
            Update::Set(self.encode(Count { has_failed: count.has_failed || fails, ..count }))
        });
        // What nobody can count might be too many.
        let fails = fails || counted.is_err();
        self.has_failed.set(fails);
        fails
    }

    /// Hears whether the candidate failed on another worker.
    pub(super) fn listen(&self, store: &dyn Store) {
        if self.fallback.is_some() && !self.has_failed.get() {
            let told = store.get(&self.place()).ok().flatten();
            let told = told.and_then(|told| self.decode(&told));
            self.has_failed.set(told.is_some_and(|told| told.has_failed));
        }
    }

    fn place(&self) -> String {
        Kind::Rollout.key(self.digest.bytes())
    }

    fn encode(&self, count: Count) -> Vec<u8> {
        let Count { since, refusals, has_failed } = count;
        [&self.digest.bytes()[..], &since.0.to_be_bytes(), &refusals.to_be_bytes(), &[u8::from(has_failed)]]
            .concat()
    }

    fn decode(&self, told: &[u8]) -> Option<Count> {
        let (since, rest) = told.strip_prefix(&self.digest.bytes()[..])?.split_first_chunk::<8>()?;
        let (refusals, rest) = rest.split_first_chunk::<4>()?;
        let [has_failed @ (0 | 1)] = rest else { return None };
        Some(Count {
            since: Moment(u64::from_be_bytes(*since)),
            refusals: u32::from_be_bytes(*refusals),
            has_failed: *has_failed == 1,
        })
    }
}

/// A number below 100 that a principal always has: other bytes of its digest than those that choose its key.
fn lot_of_principal(principal: &TokenDigest) -> u64 {
    let [.., a, b, c, d] = *principal.bytes();
    u64::from(u32::from_be_bytes([a, b, c, d])) % 100
}

/// A number below 100 that is as good as any: the microseconds of the moment.
fn lot_of_moment(now: Moment) -> u64 {
    now.0 / 1000 % 100
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::MemoryStore;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    fn canary(percent: u8, fallback: Option<Fallback>) -> Canary {
        Canary::new(TokenDigest::of(b"document"), percent, 100, fallback)
    }

    fn principal(number: u32) -> TokenDigest {
        TokenDigest::of(&number.to_be_bytes())
    }

    #[test]
    fn its_share_of_principals_is_as_large_as_it_says_and_grows_without_anybody_leaving() {
        let all: Vec<TokenDigest> = (0..10_000).map(principal).collect();
        let mut before: Vec<&TokenDigest> = Vec::new();
        for percent in [0, 1, 10, 50, 99, 100] {
            let canary = canary(percent, None);
            let chosen: Vec<&TokenDigest> = all.iter().filter(|it| canary.decides(Some(it), NOW)).collect();
            let expected = usize::from(percent) * 100;
            assert!(chosen.len().abs_diff(expected) <= 200, "{percent} %: {}", chosen.len());
            assert!(before.iter().all(|it| chosen.contains(it)), "somebody left at {percent} %");
            before = chosen;
        }
        assert_eq!(before.len(), all.len());
    }

    #[test]
    fn whoever_is_unknown_is_chosen_by_the_moment() {
        let canary = canary(10, None);
        let chosen = (0..10_000).filter(|micro| canary.decides(None, Moment(NOW.0 + micro * 1000))).count();
        assert_eq!(chosen, 1000);
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
        assert!(other.decides(Some(&principal(1)), at(61)));
        assert!(other.refused(at(62), &store), "the third within a minute");
        assert!(!other.decides(Some(&principal(1)), at(62)));
        assert!(one.decides(Some(&principal(1)), at(62)), "it has not heard yet");
        one.listen(&store);
        assert!(!one.decides(Some(&principal(1)), at(62)) && one.has_failed());
        // A worker that begins later hears of it, too; one with another document does not.
        let late = canary(100, fallback);
        late.listen(&store);
        assert!(late.has_failed());
        let next = Canary::new(TokenDigest::of(b"another"), 100, 100, fallback);
        next.listen(&store);
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
            vec![1; 45],
            [digest.clone(), vec![1; 12], vec![2]].concat(),
            [digest, vec![1; 14]].concat(),
        ] {
            store.update(&canary.place(), &mut |_| Update::Set(garbage.clone())).unwrap();
            canary.listen(&store);
            assert!(!canary.has_failed() && !canary.refused(NOW, &store), "{garbage:?}");
            store.update(&canary.place(), &mut |_| Update::Set(Vec::new())).unwrap();
        }
    }
}
