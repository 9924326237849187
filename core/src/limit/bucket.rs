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

type Entry = ([u8; 32], i64);

pub(super) fn take(store: &dyn Store, token: &Digest, gcra: Gcra, now: i64) -> Result<Taken, StoreError> {
    let mut answer = Err(StoreError::Unavailable);
    store.update(&SlotKind::Limit.key(token), &mut |value| {
        let mut entries = read(value, now);
        let present = find(&entries, token.bytes());
        let (tat, result) = gcra.take(present, now);
        answer = Ok(result);
        // A refusal is written, too, where it brings back what lay too far ahead.
        if present == Some(tat) {
            return Update::Keep;
        }
        put(&mut entries, token.bytes(), tat);
        Update::Set(write(&entries))
    })?;
    answer
}

/// Reads the entries of budgets that are not full. A value of another form has none.
fn read(value: Option<&[u8]>, now: i64) -> Vec<Entry> {
    let Some((&FORM, rest)) = value.and_then(<[u8]>::split_first) else { return Vec::new() };
    let (entries, []) = rest.as_chunks::<ENTRY_BYTES>() else { return Vec::new() };
    let entry = |bytes: &[u8; ENTRY_BYTES]| {
        let (digest, tat) = bytes.split_first_chunk::<32>()?;
        Some((*digest, i64::from_le_bytes(tat.try_into().ok()?)))
    };
    entries.iter().filter_map(entry).filter(|(_, tat)| *tat > now).take(MAX_ENTRIES + 1).collect()
}

fn find(entries: &[Entry], token: &[u8; 32]) -> Option<i64> {
    let of = |digest: &[u8; 32]| entries.iter().find(|(key, _)| key == digest).map(|(_, tat)| *tat);
    of(token).or_else(|| if entries.len() < MAX_ENTRIES { None } else { of(&SHARED) })
}

fn put(entries: &mut Vec<Entry>, token: &[u8; 32], tat: i64) {
    let has_own = entries.iter().any(|(key, _)| key == token);
    let key = if has_own || entries.len() < MAX_ENTRIES { token } else { &SHARED };
    match entries.iter_mut().find(|(other, _)| other == key) {
        Some(entry) => entry.1 = tat,
        None => entries.push((*key, tat)),
    }
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + entries.len() * ENTRY_BYTES);
    value.push(FORM);
    for (digest, tat) in entries {
        value.extend_from_slice(digest);
        value.extend_from_slice(&tat.to_le_bytes());
    }
    value
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
