//! Memory that the host shares between the workers of a process, as the engine sees it.
//!
//! A store may forget, and other programs may write garbage into it. Neither may ever turn a refused token into an
//! accepted one: what is read is judged like any input, and what is missing is looked up again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use crate::base::Digest;

/// Why a store could not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// Others changed the value again and again meanwhile.
    Contended,
    /// There is no memory to share, or the host refused.
    Unavailable,
}

impl std::error::Error for StoreError {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Contended => "others changed the value again and again",
            Self::Unavailable => "there is no shared memory",
        })
    }
}

/// The update of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// It stays.
    Keep,
    /// It is replaced.
    Set(Vec<u8>),
}

/// Bounded memory under the keys of [`slot_keys`]. An absent value and an empty one are the same.
pub trait Store {
    /// The value, if there is one.
    ///
    /// # Errors
    /// When the host cannot say.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Changes a value atomically. `change` sees the present value and may run again when another worker was faster.
    ///
    /// # Errors
    /// When the host cannot, or others were faster every time.
    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError>;
}

/// A kind of value, each in so many slots. Their number is fixed, so what clients send cannot make it grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotKind {
    /// Records of tokens, see `services::registry`.
    Record,
    /// Rate limits, see `limit`.
    Limit,
    /// Upstream credentials that are left alone, see `upstream`.
    Cooldown,
    /// How a candidate policy fares, see `worker`.
    Rollout,
    /// The turn to ask for a policy, see `services::bundle`.
    Turn,
    /// The policy that was taken last, see `services::bundle`.
    Bundle,
}

impl SlotKind {
    const ALL: [Self; 6] =
        [Self::Record, Self::Limit, Self::Cooldown, Self::Rollout, Self::Turn, Self::Bundle];

    /// A power of two.
    const fn slots(self) -> u16 {
        match self {
            Self::Record => 8192,
            Self::Limit => 4096,
            Self::Cooldown => 256,
            Self::Rollout | Self::Turn | Self::Bundle => 16,
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
        }
    }

    /// The slot of a digest, told by its first bits: SHA-256 spreads them evenly.
    pub(crate) fn key(self, digest: &Digest) -> String {
        let [first, second, ..] = *digest.bytes();
        self.slot(u16::from_be_bytes([first, second]) & (self.slots() - 1))
    }

    /// The number says which form the values have; a new form takes new keys.
    fn slot(self, index: u16) -> String {
        ["keyswap.1.", self.name(), ".", &hex::encode(index.to_be_bytes())].concat()
    }
}

/// Every key that the engine uses. A host whose compare-and-swap needs a value to be there puts an empty record under
/// each before it serves.
pub fn slot_keys() -> impl Iterator<Item = String> {
    SlotKind::ALL.into_iter().flat_map(|kind| (0..kind.slots()).map(move |index| kind.slot(index)))
}

/// The value that a host writes to make a slot exist. Every reader takes it for no value.
pub const EMPTY_SLOT: &[u8] = &[0];

/// A store for a host whose workers share nothing: it forgets at once. No budget can be kept in it.
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
