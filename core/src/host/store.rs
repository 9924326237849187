//! Memory that the host shares between the workers of a process, as the engine sees it.
//!
//! A store may forget, and other programs may write garbage into it. Neither may ever turn a refused token into an
//! accepted one. So a value is judged like any input, and a missing one is looked up again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

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

    const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Limit => "limit",
            Self::Cooldown => "cooldown",
            Self::Rollout => "rollout",
            Self::Turn => "turn",
            Self::Bundle => "bundle",
            Self::Slice => "slice",
            Self::Tokens => "tokens",
            Self::Report => "report",
            Self::Object => "object",
        }
    }

    /// Returns the key of a digest's slot. The first bits choose the slot: SHA-256 spreads them evenly.
    pub(crate) fn key(self, digest: &Digest) -> String {
        let [first, second, ..] = *digest.bytes();
        self.slot(u16::from_be_bytes([first, second]) & (self.slots() - 1))
    }

    /// Returns the key of a slot. Its number is the version of the values' form: a new form takes new keys.
    fn slot(self, index: u16) -> String {
        let digit = |shift| char::from_digit(u32::from(index >> shift) & 0xf, 16).unwrap_or('0');
        let mut key = String::with_capacity(32);
        for part in ["keyswap.1.", self.name(), "."] {
            key.push_str(part);
        }
        key.extend([12, 8, 4, 0].map(digit));
        key
    }
}

/// Returns every key that the engine uses. A host whose compare-and-swap needs an existing value writes [`EMPTY_SLOT`]
/// under each key before it serves.
pub fn slot_keys() -> impl Iterator<Item = String> {
    SlotKind::ALL.into_iter().flat_map(|kind| (0..kind.slots()).map(move |index| kind.slot(index)))
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
        if let Update::Set(value) = change(values.get(key).map(Vec::as_slice)) {
            values.insert(key.to_owned(), value);
        }
        Ok(())
    }
}
