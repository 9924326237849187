//! The memory that the workers of a process share, as the engine's store.
//!
//! It lives as long as the process, so that budgets and revocations outlast a new configuration. Its keys are those of
//! the engine, a fixed number.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyswap_core::host::{Store, StoreError, Update};

/// The number of locks. Two workers seldom want the same one.
const SHARDS: usize = 64;

/// The memories of the process, by the names of the filters that share them.
static MEMORIES: Mutex<BTreeMap<String, Arc<Memory>>> = Mutex::new(BTreeMap::new());

type Shard = HashMap<String, Vec<u8>>;

/// A memory.
#[derive(Default)]
pub(crate) struct Memory {
    shards: Vec<Mutex<Shard>>,
}

impl Memory {
    /// Returns the memory of a filter's name. All filters of one name share it.
    pub(crate) fn of(name: &str) -> Arc<Self> {
        let mut memories = MEMORIES.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(memories.entry(name.to_owned()).or_insert_with(|| Arc::new(Self::new())))
    }

    fn new() -> Self {
        Self { shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect() }
    }

    /// Returns the shard of a key. A shard is whole after a panic, too: a value is put in place in one step.
    fn shard(&self, key: &str) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let hash =
            key.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let shard = self.shards.get(hash % SHARDS).ok_or(StoreError::Unavailable)?;
        Ok(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store for Memory {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.shard(key)?.get(key).cloned())
    }

    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        let mut shard = self.shard(key)?;
        if let Some(present) = shard.get_mut(key) {
            change(Some(present)).apply(present);
            return Ok(());
        }
        let mut value = Vec::new();
        if change(None).apply(&mut value) {
            shard.insert(key.to_owned(), value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use keyswap_core::host::{Store as _, Update};

    use super::Memory;

    #[test]
    fn no_change_of_a_value_is_lost_among_workers() {
        let memory = Arc::new(Memory::new());
        let count = |memory: &Memory| memory.get("limit.0001").unwrap().map_or(0, |value| value.len());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        let mut add = |value: Option<&[u8]>| {
                            Update::Set([value.unwrap_or_default(), b"x".as_slice()].concat())
                        };
                        memory.update("limit.0001", &mut add).unwrap();
                    }
                });
            }
        });
        assert_eq!(count(&memory), 2000);
        memory.update("limit.0001", &mut |_| Update::Keep).unwrap();
        assert_eq!((count(&memory), memory.get("limit.0002")), (2000, Ok(None)));
    }

    #[test]
    fn filters_of_one_name_share_a_memory_and_others_do_not() {
        let [one, same, other] = ["a", "a", "b"].map(Memory::of);
        one.update("k", &mut |_| Update::Set(b"v".to_vec())).unwrap();
        assert_eq!(same.get("k"), Ok(Some(b"v".to_vec())));
        assert_eq!(other.get("k"), Ok(None));
    }
}
