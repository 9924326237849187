//! Budgets in shared memory: a fixed number of slots, each with the budgets of the tokens that fall into it.
//!
//! A full budget needs no entry, so a slot holds active tokens only. Where a slot has too many of them, newcomers share
//! one budget: they may be limited too early, never too late.

use super::gcra::{Gcra, Taken};
use crate::base::Digest;
use crate::host::{SlotKind, Store, StoreError, Update};

/// The form of the value: this byte, then the entries. Anything else is no value.
const FORM: u8 = 1;
/// A digest and its theoretical arrival time, little-endian.
const ENTRY_BYTES: usize = 32 + 8;
/// The most tokens of one slot with budgets of their own.
const MAX_ENTRIES: usize = 64;
/// The digest of the budget that the other tokens share: no token has it.
const SHARED: [u8; 32] = [0; 32];

pub(super) fn take(store: &dyn Store, token: &Digest, gcra: Gcra, now: i64) -> Result<Taken, StoreError> {
    let mut answer = Err(StoreError::Unavailable);
    store.update(&SlotKind::Limit.key(token), &mut |value| {
        let slot = Slot::read(value, now);
        let own = slot.find(token.bytes());
        let is_shared = own.is_none() && slot.is_full();
        let (key, present) = if is_shared { (&SHARED, slot.find(&SHARED)) } else { (token.bytes(), own) };
        let (tat, result) = gcra.take(present.map(|(_, tat)| tat), now);
        answer = Ok(result);
        match present {
            // A refusal is written, too, where it brings back what lay too far ahead.
            Some((_, present)) if present == tat => Update::Keep,
            Some((entry, _)) => Update::Number(place_of(entry), tat.cast_unsigned()),
            None => Update::Set(slot.with(key, tat)),
        }
    })?;
    answer
}

/// Returns the place of an entry's time in the value.
const fn place_of(entry: usize) -> usize {
    entry.saturating_mul(ENTRY_BYTES).saturating_add(1 + 32)
}

/// The entries of a slot.
#[derive(Clone, Copy)]
struct Slot<'v> {
    entries: &'v [[u8; ENTRY_BYTES]],
    now: i64,
}

impl<'v> Slot<'v> {
    /// Takes a value. A value of another form has no entries.
    fn read(value: Option<&'v [u8]>, now: i64) -> Self {
        let entries = match value {
            Some([FORM, rest @ ..]) => match rest.as_chunks() {
                (entries, []) => entries,
                _ => &[],
            },
            _ => &[],
        };
        Self { entries, now }
    }

    /// Returns the entries of budgets that are not full: number, digest, and the theoretical arrival time.
    fn live(self) -> impl Iterator<Item = (usize, &'v [u8; 32], i64)> {
        let parts = |(number, entry): (usize, &'v [u8; ENTRY_BYTES])| {
            let (digest, time) = entry.split_first_chunk()?;
            Some((number, digest, i64::from_le_bytes(*time.first_chunk()?)))
        };
        let live = self.entries.iter().enumerate().filter_map(parts).filter(move |(.., tat)| *tat > self.now);
        live.take(MAX_ENTRIES + 1)
    }

    /// Returns whether newcomers have no budgets of their own.
    fn is_full(self) -> bool {
        self.entries.len() >= MAX_ENTRIES && self.live().count() >= MAX_ENTRIES
    }

    /// Returns the number of an entry, and its theoretical arrival time.
    fn find(self, token: &[u8; 32]) -> Option<(usize, i64)> {
        self.live().find(|(_, digest, _)| *digest == token).map(|(number, _, tat)| (number, tat))
    }

    /// Writes the entries, with a new one behind them.
    fn with(self, token: &[u8; 32], tat: i64) -> Vec<u8> {
        let room = self.entries.len().saturating_add(1).saturating_mul(ENTRY_BYTES);
        let mut value = Vec::with_capacity(room.saturating_add(1));
        value.push(FORM);
        for (_, digest, present) in self.live() {
            push(&mut value, digest, present);
        }
        push(&mut value, token, tat);
        value
    }
}

fn push(value: &mut Vec<u8>, digest: &[u8; 32], tat: i64) {
    value.extend_from_slice(digest);
    value.extend_from_slice(&tat.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::MemoryStore;
    use crate::limit::RateLimit;

    const NOW: i64 = 1_800_000_000_000_000_000;

    fn allowed(store: &MemoryStore, token: &Digest, now: i64) -> bool {
        take(store, token, Gcra::new(RateLimit::new(3, 60).unwrap()), now).unwrap().allowed
    }

    /// Digests that fall into one slot.
    fn crowd(count: u16) -> Vec<Digest> {
        (1..=count).map(|number| Digest::from_hex(&format!("abcd{number:060x}")).unwrap()).collect()
    }

    #[test]
    fn tokens_of_one_slot_have_budgets_of_their_own() {
        let store = MemoryStore::default();
        let crowd = crowd(60);
        for token in &crowd {
            assert_eq!((0..5).filter(|_| allowed(&store, token, NOW)).count(), 3);
        }
        for token in &crowd {
            assert!(!allowed(&store, token, NOW));
        }
    }

    #[test]
    fn in_an_overfull_slot_nobody_gets_more_than_the_limit_and_the_value_stays_bounded() {
        let store = MemoryStore::default();
        let crowd = crowd(500);
        let all: usize =
            crowd.iter().map(|token| (0..5).filter(|_| allowed(&store, token, NOW)).count()).sum();
        assert_eq!(all, (MAX_ENTRIES + 1) * 3);
        assert!(!allowed(&store, &crowd[0], NOW), "an active budget was given up");
        let value = store.get(&SlotKind::Limit.key(&crowd[0])).unwrap().unwrap();
        assert_eq!(value.len(), 1 + (MAX_ENTRIES + 1) * ENTRY_BYTES);
        assert!(
            crowd.iter().take(60).all(|token| allowed(&store, token, NOW + 61_000_000_000)),
            "a minute later"
        );
    }

    #[test]
    fn nobody_is_kept_out_for_longer_than_the_limit_says_after_the_clock_was_put_back() {
        let store = MemoryStore::default();
        let token = Digest::of(b"t");
        let second = 1_000_000_000;
        (0..3).for_each(|_| assert!(allowed(&store, &token, NOW)));
        let earlier = NOW - 3600 * second;
        assert!(!allowed(&store, &token, earlier));
        assert!(allowed(&store, &token, earlier + 20 * second));
        assert!(!allowed(&store, &token, earlier + 21 * second));
        assert!(allowed(&store, &token, earlier + 40 * second));
    }

    #[test]
    fn a_budget_is_counted_in_its_place_and_leaves_the_others_as_they_are() {
        let store = MemoryStore::default();
        let (crowd, later) = (crowd(3), NOW + 1_000_000_000);
        assert!(crowd.iter().all(|token| allowed(&store, token, NOW)));
        let value = || store.get(&SlotKind::Limit.key(&crowd[0])).unwrap().unwrap();
        let before = value();
        assert!(allowed(&store, &crowd[1], later));
        let after = value();
        let changed: Vec<usize> = (0..after.len()).filter(|at| before[*at] != after[*at]).collect();
        let own = place_of(1)..place_of(1) + 8;
        assert!(
            before.len() == after.len() && !changed.is_empty() && changed.iter().all(|at| own.contains(at))
        );
        let left = |token| (0..5).filter(|_| allowed(&store, token, later)).count();
        assert_eq!([&crowd[0], &crowd[1], &crowd[2]].map(left), [2, 1, 2]);
    }

    #[test]
    fn garbage_is_no_budget_and_no_panic() {
        for garbage in [&b""[..], b"\0", b"\x01\x02", &[1; 1 + ENTRY_BYTES], &[0xff; 100], &[1; 70]] {
            let store = MemoryStore::default();
            let token = Digest::of(b"t");
            let key = SlotKind::Limit.key(&token);
            store.update(&key, &mut |_| Update::Set(garbage.to_vec())).unwrap();
            assert_eq!((0..5).filter(|_| allowed(&store, &token, NOW)).count(), 3, "{garbage:?}");
        }
    }
}
