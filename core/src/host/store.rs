//! Memory that the host shares between the workers of a process, as the engine sees it.
//!
//! A store may forget, and other programs may write garbage into it. Neither may ever turn a refused token into an
//! accepted one. So a value is judged like any input, and a missing one is looked up again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use crate::base::Digest;

/// An error of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Other workers changed the value at every attempt.
    Contended,
    /// The host has no memory to share, or refused.
    Unavailable,
}

impl std::error::Error for StoreError {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contended => "other workers changed the value each time",
            Self::Unavailable => "there is no shared memory",
        })
    }
}

/// The update of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The value stays.
    Keep,
    /// The value is replaced by this one.
    Set(Vec<u8>),
    /// The eight bytes at this place become this number, little-endian. A value without such a place stays.
    Number(usize, u64),
}

impl Update {
    /// Makes the update of a value. Returns whether there is something to write.
    pub fn apply(self, value: &mut Vec<u8>) -> bool {
        match self {
            Self::Keep => return false,
            Self::Set(new) => *value = new,
            Self::Number(at, number) => {
                let place = value.get_mut(at..).and_then(<[u8]>::first_chunk_mut);
                let Some(place) = place else { return false };
                *place = number.to_le_bytes();
            }
        }
        true
    }
}

/// Bounded memory under the keys of [`slot_keys`]. An absent value and an empty one are the same.
pub trait Store {
    /// Returns the value; `None` where the key has none.
    ///
    /// # Errors
    /// [`StoreError`] where the host cannot answer.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Changes a value atomically. `change` sees the present value, and runs again where another worker was faster.
    ///
    /// # Errors
    /// [`StoreError`] where the host cannot write, or other workers were faster every time.
    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError>;
}

/// A kind of value. Each kind has a fixed number of slots, so that clients cannot make the memory grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// Records of tokens, see `services::registry`.
    Record,
    /// Rate limits, see `limit`.
    Limit,
    /// Cooldowns of upstream credentials, see `upstream`.
    Cooldown,
    /// The refusals of a candidate policy, see `worker`.
    Rollout,
    /// The turn to fetch a policy, see `services::bundle`.
    Turn,
    /// The newest policy that was taken, see `services::bundle`.
    Bundle,
    /// Slices of budgets, see `limit`.
    Slice,
    /// Rate limits in tokens, see `limit`.
    Tokens,
    /// The numbers of reports, see `services::registry`.
    Report,
    /// Holders of objects, see `services::registry`.
    Object,
}

impl SlotKind {
    const ALL: [Self; 10] = [
        Self::Record,
        Self::Limit,
        Self::Cooldown,
        Self::Rollout,
        Self::Turn,
        Self::Bundle,
        Self::Slice,
        Self::Tokens,
        Self::Report,
        Self::Object,
    ];

    /// Returns the number of slots, which is a power of two.
    const fn slots(self) -> u16 {
        match self {
            Self::Record => 8192,
            Self::Limit | Self::Object => 4096,
            Self::Cooldown => 256,
            Self::Slice | Self::Tokens => 1024,
            Self::Rollout | Self::Turn | Self::Bundle | Self::Report => 16,
        }
    }

    /// Returns the beginning of the keys. Its number is the version of the values' form: a new form takes new keys.
    const fn beginning(self) -> &'static str {
        match self {
            Self::Record => "keyswap.2.record.",
            Self::Limit => "keyswap.1.limit.",
            Self::Cooldown => "keyswap.1.cooldown.",
            Self::Rollout => "keyswap.1.rollout.",
            Self::Turn => "keyswap.1.turn.",
            Self::Bundle => "keyswap.1.bundle.",
            Self::Slice => "keyswap.1.slice.",
            Self::Tokens => "keyswap.1.tokens.",
            Self::Report => "keyswap.1.report.",
            Self::Object => "keyswap.2.object.",
        }
    }

    /// Returns the key of a digest's slot. The first bits choose the slot: SHA-256 spreads them evenly.
    pub(crate) fn key(self, digest: &Digest) -> SlotKey {
        let [first, second, ..] = *digest.bytes();
        self.slot(u16::from_be_bytes([first, second]) & (self.slots() - 1))
    }

    fn slot(self, index: u16) -> SlotKey {
        let (beginning, mut bytes) = (self.beginning().as_bytes(), [0; SlotKey::MOST]);
        let digits = [12, 8, 4, 0].map(|shift| match index >> shift & 0xf {
            digit @ ..=9 => b'0'.wrapping_add(digit.to_be_bytes()[1]),
            digit => b'a'.wrapping_add(digit.wrapping_sub(10).to_be_bytes()[1]),
        });
        if let Some((place, rest)) = bytes.split_at_mut_checked(beginning.len())
            && let Some(behind) = rest.first_chunk_mut()
        {
            place.copy_from_slice(beginning);
            *behind = digits;
        }
        SlotKey { bytes, length: beginning.len().saturating_add(digits.len()) }
    }
}

/// The key of a slot: short text in ASCII.
pub(crate) struct SlotKey {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl SlotKey {
    /// The room for the longest key, in bytes.
    const MOST: usize = 24;
}

impl Deref for SlotKey {
    type Target = str;

    fn deref(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Returns every key that the engine uses. A host whose compare-and-swap needs an existing value writes [`EMPTY_SLOT`]
/// under each key before it serves.
pub fn slot_keys() -> impl Iterator<Item = String> {
    SlotKind::ALL.into_iter().flat_map(|kind| (0..kind.slots()).map(move |index| kind.slot(index).to_owned()))
}

/// The value that a host writes to make a slot exist. Every reader takes it for no value.
pub const EMPTY_SLOT: &[u8] = &[0];

/// A store for hosts whose workers share nothing. The store forgets at once, so no budget can be kept in it.
pub struct Forgetful;

impl Store for Forgetful {
    fn get(&self, _key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    fn update(&self, _key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        let _ = change(None);
        Ok(())
    }
}

/// A store for a host whose one process has one worker, and for tests.
#[derive(Default)]
pub struct MemoryStore(RefCell<BTreeMap<String, Vec<u8>>>);

impl Store for MemoryStore {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let values = self.0.try_borrow().map_err(|_| StoreError::Unavailable)?;
        Ok(values.get(key).cloned())
    }

    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        let mut values = self.0.try_borrow_mut().map_err(|_| StoreError::Unavailable)?;
        if let Some(present) = values.get_mut(key) {
            change(Some(present)).apply(present);
            return Ok(());
        }
        let mut value = Vec::new();
        if change(None).apply(&mut value) {
            values.insert(key.to_owned(), value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_changes_what_it_says_and_nothing_else() {
        let number = |at| Update::Number(at, 0x0807_0605_0403_0201);
        for (update, before, is_written, after) in [
            (Update::Keep, &b"abc"[..], false, &b"abc"[..]),
            (Update::Set(b"d".to_vec()), b"abc", true, b"d"),
            (Update::Set(Vec::new()), b"abc", true, b""),
            (number(0), b"abcdefgh", true, b"\x01\x02\x03\x04\x05\x06\x07\x08"),
            (number(1), b"abcdefghij", true, b"a\x01\x02\x03\x04\x05\x06\x07\x08j"),
            (number(1), b"abcdefgh", false, b"abcdefgh"),
            (number(usize::MAX), b"abcdefgh", false, b"abcdefgh"),
            (number(0), b"", false, b""),
        ] {
            let mut value = before.to_vec();
            assert_eq!(
                (update.clone().apply(&mut value), value.as_slice()),
                (is_written, after),
                "{update:?}"
            );
            let store = MemoryStore::default();
            let key = SlotKind::Limit.key(&Digest::of(b"t"));
            store.update(&key, &mut |_| Update::Set(before.to_vec())).unwrap();
            store.update(&key, &mut |_| update.clone()).unwrap();
            assert_eq!(store.get(&key), Ok(Some(after.to_vec())), "{update:?}");
        }
    }

    #[test]
    fn every_key_has_the_number_of_its_slot_and_is_shorter_than_its_room() {
        let keys: std::collections::BTreeSet<String> = slot_keys().collect();
        let count: usize = SlotKind::ALL.iter().map(|kind| usize::from(kind.slots())).sum();
        assert_eq!(keys.len(), count);
        for (kind, hex, expect) in [
            (SlotKind::Limit, "abcd", "keyswap.1.limit.0bcd"),
            (SlotKind::Cooldown, "00ff", "keyswap.1.cooldown.00ff"),
            (SlotKind::Record, "ffff", "keyswap.2.record.1fff"),
        ] {
            let digest = Digest::from_hex(&format!("{hex}{:060x}", 0)).unwrap();
            assert_eq!(&*kind.key(&digest), expect);
            assert!(keys.contains(expect));
        }
    }
}
