//! A record in shared memory, so that what one worker looked up serves all of them.
//!
//! A slot holds a few records, each with the whole digest: another token's record is a miss. The version keeps a late answer
//! from replacing a newer one; a tombstone has the least version that may be used. Garbage is a miss.

use std::collections::VecDeque;
use std::iter;

use crate::base::{Digest, Moment};
use crate::host::{SharedValue, SlotKind, Store, StoreError, Update};
use crate::services::fetch::Position;

/// The most records of one slot, so that a hundred thousand tokens have a place. With one each, two of a few hundred tokens would
/// push each other out.
const MAX_ENTRIES: usize = 16;
/// The most bytes of a slot's older records: each use of the slot copies all of them.
const MAX_BYTES: usize = 32 * 1024;

/// A record as workers share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharedRecord<'a> {
    pub(super) digest: Digest,
    /// The record's version, or the least that may be used.
    pub(super) version: u64,
    /// The newest state of the registry that was known when the record was requested.
    pub(super) as_of: Position,
    /// The moment at which the record was requested.
    pub(super) asked_at: Moment,
    /// The end of the lease of the worker that renews the record.
    pub(super) leased_until: Moment,
    /// The registry's answer; `None` is a tombstone.
    pub(super) record: Option<&'a [u8]>,
}

impl<'a> SharedRecord<'a> {
    /// Reads the record of `digest` in the value of a slot.
    pub(super) fn decode(value: &'a [u8], digest: &Digest) -> Option<Self> {
        let SharedValue { numbers, bytes } =
            entries(value).find_map(|entry| SharedValue::decode(entry, digest))?;
        let [version, change, history, asked_at, leased_until] = numbers;
        Some(Self {
            digest: *digest,
            version,
            as_of: Position { change, history },
            asked_at: Moment(asked_at),
            leased_until: Moment(leased_until),
            record: Some(bytes).filter(|record| !record.is_empty()),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let Position { change, history } = self.as_of;
        let numbers = [self.version, change, history, self.asked_at.0, self.leased_until.0];
        SharedValue { numbers, bytes: self.record.unwrap_or_default() }.encode(&self.digest)
    }

    /// Returns the value of a slot with this record as its newest one. A full slot drops its oldest.
    fn put_into(&self, slot: Option<&[u8]>) -> Vec<u8> {
        let others = entries(slot.unwrap_or_default()).filter(|it| !it.starts_with(self.digest.bytes()));
        let mut kept: VecDeque<&[u8]> = others.collect();
        let mut length: usize = kept.iter().map(|entry| entry.len()).sum();
        while kept.len() >= MAX_ENTRIES || length > MAX_BYTES {
            length = length.saturating_sub(kept.pop_front().map_or(length, <[u8]>::len));
        }
        let mut value = Vec::new();
        for entry in kept.into_iter().chain([&*self.encode()]) {
            // No record is that long.
            let Ok(length) = u32::try_from(entry.len()) else { continue };
            value.extend_from_slice(&length.to_le_bytes());
            value.extend_from_slice(entry);
        }
        value
    }
}

/// Returns the records of a slot, the oldest first, each behind its length (32 bits, little-endian).
fn entries(mut value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next = move || {
        let (length, behind) = value.split_first_chunk::<4>()?;
        let (entry, rest) = behind.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        value = rest;
        Some(entry)
    };
    iter::from_fn(next).take(MAX_ENTRIES)
}

/// Stores a record, unless the present one is newer. A record that could not be shared is looked up by each worker.
pub(super) fn fill(store: &dyn Store, slot: &SharedRecord<'_>, now: Moment) -> Result<(), StoreError> {
    fill_in(SlotKind::Record, store, slot, now)
}

/// Does the same among values of another kind.
pub(super) fn fill_in(
    kind: SlotKind,
    store: &dyn Store,
    slot: &SharedRecord<'_>,
    now: Moment,
) -> Result<(), StoreError> {
    store.update(&kind.key(&slot.digest), &mut |value| {
        let is_newer = |present: &SharedRecord<'_>| {
            // Of one version the later request is newer, by a clock that was not put back since.
            let is_later = present.asked_at > slot.asked_at && present.asked_at <= now;
            present.version > slot.version || (present.version == slot.version && is_later)
        };
        match value.and_then(|value| SharedRecord::decode(value, &slot.digest)) {
            Some(present) if is_newer(&present) => Update::Keep,
            _ => Update::Set(slot.put_into(value)),
        }
    })
}

/// Writes a tombstone, after which no version of a record before this one is used.
pub(super) fn bury(store: &dyn Store, digest: Digest, version: u64) -> Result<(), StoreError> {
    bury_in(SlotKind::Record, store, digest, version)
}

/// Does the same among values of another kind.
pub(super) fn bury_in(
    kind: SlotKind,
    store: &dyn Store,
    digest: Digest,
    version: u64,
) -> Result<(), StoreError> {
    let none = Moment::default();
    let as_of = Position::default();
    let tombstone = SharedRecord { digest, version, as_of, asked_at: none, leased_until: none, record: None };
    store.update(&kind.key(&digest), &mut |value| {
        let present = value.and_then(|value| SharedRecord::decode(value, &digest));
        match present {
            Some(present) if present.version >= version => Update::Keep,
            _ => Update::Set(tombstone.put_into(value)),
        }
    })
}

/// Writes a tombstone for a token that is unknown, after which no record that was requested before `at` is used.
pub(super) fn forget(store: &dyn Store, digest: Digest, at: Moment, now: Moment) -> Result<(), StoreError> {
    store.update(&SlotKind::Record.key(&digest), &mut |value| {
        let present = value.and_then(|value| SharedRecord::decode(value, &digest));
        match present {
            // A later request is newer, by a clock that was not put back since.
            Some(present) if present.asked_at <= at || present.asked_at > now => {
                let tombstone =
                    SharedRecord { asked_at: at, leased_until: Moment::default(), record: None, ..present };
                Update::Set(tombstone.put_into(value))
            }
            _ => Update::Keep,
        }
    })
}

/// Returns whether this worker may renew the record: no other worker has the lease. A slot that holds another token's
/// record or none gives no lease to wait for.
pub(super) fn lease(store: &dyn Store, digest: &Digest, now: Moment, until: Moment) -> bool {
    let mut won = false;
    let done = store.update(&SlotKind::Record.key(digest), &mut |value| {
        won = false;
        let Some(present) = value.and_then(|value| SharedRecord::decode(value, digest)) else {
            won = true;
            return Update::Keep;
        };
        // A lease beyond ours was taken before the clock was put back.
        if present.leased_until > now && present.leased_until <= until {
            return Update::Keep;
        }
        won = true;
        Update::Set(SharedRecord { leased_until: until, ..present }.put_into(value))
    });
    won && done.is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::MemoryStore;

    const NOW: Moment = Moment(20);

    fn slot(version: u64) -> SharedRecord<'static> {
        SharedRecord {
            digest: Digest::of(b"t"),
            version,
            as_of: Position { change: 5, history: 6 },
            asked_at: Moment(7),
            leased_until: Moment(0),
            record: Some(b"{}"),
        }
    }

    fn read(store: &MemoryStore) -> Vec<u8> {
        store.get(&SlotKind::Record.key(&Digest::of(b"t"))).unwrap().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_another_token_in_the_slot_is_a_miss() {
        let value = slot(3).put_into(None);
        assert_eq!(SharedRecord::decode(&value, &Digest::of(b"t")), Some(slot(3)));
        assert_eq!(SharedRecord::decode(&value, &Digest::of(b"u")), None);
    }

    #[test]
    fn a_slot_keeps_the_newest_few_and_each_once() {
        let of = |number: u8| SharedRecord { digest: Digest::of(&[number]), ..slot(number.into()) };
        let mut value = Vec::new();
        for number in (0..16).chain([1, 16]) {
            value = of(number).put_into(Some(&value));
        }
        let kept = |value: &[u8]| {
            let is_kept = |number: &u8| SharedRecord::decode(value, &of(*number).digest).is_some();
            (0..=u8::MAX).filter(is_kept).collect::<Vec<u8>>()
        };
        assert_eq!(kept(&value), (1..=16).collect::<Vec<u8>>());
        assert_eq!(SharedRecord::decode(&value, &of(9).digest), Some(of(9)));
        let long = vec![b'x'; MAX_BYTES];
        for (number, expect) in [(17, &[17][..]), (18, &[18]), (19, &[18, 19])] {
            let record = if number < 18 { &long[..] } else { b"{}" };
            value = SharedRecord { record: Some(record), ..of(number) }.put_into(Some(&value));
            assert!(kept(&value).ends_with(expect), "{number}: {:?}", kept(&value));
        }
        assert_eq!(kept(&value), [18, 19], "what is too long goes with the next one");
    }

    #[test]
    fn a_late_fill_does_not_bring_back_what_was_buried() {
        let store = MemoryStore::default();
        fill(&store, &slot(3), NOW).unwrap();
        bury(&store, Digest::of(b"t"), 9).unwrap();
        fill(&store, &slot(3), NOW).unwrap();
        fill(&store, &slot(8), NOW).unwrap();
        assert_eq!(SharedRecord::decode(&read(&store), &Digest::of(b"t")).unwrap().record, None);
        fill(&store, &slot(9), NOW).unwrap();
        assert_eq!(SharedRecord::decode(&read(&store), &Digest::of(b"t")), Some(slot(9)));
        bury(&store, Digest::of(b"t"), 9).unwrap();
        assert_eq!(
            SharedRecord::decode(&read(&store), &Digest::of(b"t")),
            Some(slot(9)),
            "it is that version"
        );
    }

    #[test]
    fn what_was_not_there_is_forgotten_and_only_what_is_newer_takes_its_place() {
        let store = MemoryStore::default();
        let token = Digest::of(b"t");
        fill(&store, &slot(0), NOW).unwrap();
        forget(&store, token, Moment(9), Moment(10)).unwrap();
        fill(&store, &slot(0), NOW).unwrap();
        assert_eq!(
            SharedRecord::decode(&read(&store), &token).unwrap().record,
            None,
            "an older answer came late"
        );
        fill(&store, &SharedRecord { asked_at: Moment(12), ..slot(0) }, NOW).unwrap();
        forget(&store, token, Moment(9), Moment(13)).unwrap();
        assert!(
            SharedRecord::decode(&read(&store), &token).unwrap().record.is_some(),
            "it came into being later"
        );
    }

    #[test]
    fn one_worker_has_the_lease_at_a_time() {
        let store = MemoryStore::default();
        let token = Digest::of(b"t");
        fill(&store, &slot(3), NOW).unwrap();
        assert!(lease(&store, &token, Moment(100), Moment(200)));
        assert!(!lease(&store, &token, Moment(150), Moment(250)));
        assert!(lease(&store, &token, Moment(200), Moment(300)));
        assert!(lease(&store, &token, Moment(10), Moment(110)), "the clock was put back");
    }

    proptest! {
        #[test]
        fn garbage_is_a_miss_or_is_read_as_it_stands(
            value in prop::collection::vec(any::<u8>(), 0..130), is_framed: bool,
        ) {
            let digest = Digest::of(b"t");
            let entry = [&digest.bytes()[..], &value].concat();
            let framed = [&u32::try_from(entry.len()).unwrap().to_le_bytes()[..], &entry].concat();
            let value = if is_framed { framed } else { value };
            if let Some(slot) = SharedRecord::decode(&value, &digest) {
                prop_assert_eq!(slot.put_into(None), &*value);
            }
            prop_assert!(SharedRecord::decode(&slot(3).put_into(Some(&value)), &digest).is_some());
        }
    }
}
