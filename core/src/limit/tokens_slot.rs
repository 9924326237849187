//! The form of budgets in tokens in shared memory: each slot has the budgets of the callers that fall into it.
//!
//! A full budget needs no entry. Where a slot has too many, newcomers share one budget: they may be limited too early, never
//! too late. A value of another form has no budgets.

use super::tokens_level::Level;
use crate::base::Digest;

/// The form of the value: this byte, then the entries. Anything else is no value.
const FORM: u8 = 1;
/// A digest and four numbers, little-endian.
const ENTRY_BYTES: usize = 32 + 4 * 8;

/// The key of a budget: the digest of a caller, or that of the budget that the other callers share.
pub(super) type Key = [u8; 32];

/// The key of the shared budget: no caller has this digest.
const SHARED: Key = [0; 32];

/// The budgets of a slot that are not full.
pub(super) struct Slot(Vec<(Key, Level)>);

impl Slot {
    /// The most callers of one slot with budgets of their own.
    pub(super) const MAX_ENTRIES: usize = 16;
    /// The longest value.
    #[cfg(test)]
    pub(super) const MAX_BYTES: usize = 1 + (Self::MAX_ENTRIES + 1) * ENTRY_BYTES;

    /// Reads a value, without the budgets that are full by now.
    pub(super) fn read(value: Option<&[u8]>, now: i64) -> Self {
        Self(value.map_or_else(Vec::new, |value| entries(value, now)))
    }

    /// Returns the budget of a caller, with its key.
    pub(super) fn of(&self, caller: &Digest) -> (Key, Level) {
        let has_own = self.0.iter().any(|(key, _)| key == caller.bytes());
        let key = if has_own || self.count_own() < Self::MAX_ENTRIES { *caller.bytes() } else { SHARED };
        (key, self.get(key))
    }

    /// Returns the budget under a key.
    pub(super) fn get(&self, key: Key) -> Level {
        self.0.iter().find(|(other, _)| *other == key).map(|(_, level)| *level).unwrap_or_default()
    }

    /// Replaces the budget under a key. One that has lost its place is paid for by those that share one.
    pub(super) fn put(&mut self, key: Key, level: Level) {
        let has_room = key == SHARED || self.count_own() < Self::MAX_ENTRIES;
        if let Some(entry) = self.0.iter_mut().find(|(other, _)| *other == key) {
            entry.1 = level;
        } else if has_room {
            self.0.push((key, level));
        } else {
            let shared = self.get(SHARED);
            self.put(SHARED, Level { full_at: shared.full_at.max(level.full_at), ..shared });
        }
    }

    /// Returns the number of callers with budgets of their own.
    fn count_own(&self) -> usize {
        self.0.iter().filter(|(key, _)| *key != SHARED).count()
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(self.0.len().saturating_mul(ENTRY_BYTES).saturating_add(1));
        value.push(FORM);
        for (key, Level { full_at, held, held_before, epoch }) in &self.0 {
            value.extend_from_slice(key);
            value.extend_from_slice(&full_at.to_le_bytes());
            value.extend_from_slice(&held.to_le_bytes());
            value.extend_from_slice(&held_before.to_le_bytes());
            value.extend_from_slice(&epoch.to_le_bytes());
        }
        value
    }
}

fn entries(value: &[u8], now: i64) -> Vec<(Key, Level)> {
    let Some((&FORM, rest)) = value.split_first() else { return Vec::new() };
    let (entries, []) = rest.as_chunks::<ENTRY_BYTES>() else { return Vec::new() };
    let entries = entries.iter().filter_map(|bytes| {
        let (key, numbers) = bytes.split_first_chunk::<32>()?;
        let (numbers, []) = numbers.as_chunks::<8>() else { return None };
        let [full_at, held, held_before, epoch] = *numbers else { return None };
        let level = Level {
            full_at: i64::from_le_bytes(full_at),
            held: u64::from_le_bytes(held),
            held_before: u64::from_le_bytes(held_before),
            epoch: i64::from_le_bytes(epoch),
        };
        Some((*key, level.at(None, now)))
    });
    entries.filter(|(_, level)| !level.is_full(now)).take(Slot::MAX_ENTRIES.saturating_add(1)).collect()
}
