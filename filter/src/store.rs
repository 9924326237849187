//! Envoy's shared data as the engine's store: one memory for all workers of a process.
//!
//! Envoy ignores compare-and-swap on a key that is absent, so two workers that write first would both win. Therefore
//! every key gets an empty record before the first request ([`seed`]).

use keyswap_core::host::{EMPTY_SLOT, Store, StoreError, Update, slot_keys};

use keyswap_streams::HostError;

use crate::host;

/// The most attempts of an update. Where other workers are faster each time, there is more to it than bad luck.
const ATTEMPTS: usize = 8;

/// The shared data of the process.
pub(crate) struct SharedData;

impl Store for SharedData {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match host::shared(key) {
            Ok(value) => Ok(value.map(|(value, _)| value)),
            Err(_) => Err(StoreError::Unavailable),
        }
    }

    fn update(&self, key: &str, change: &mut dyn FnMut(Option<&[u8]>) -> Update) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let present = host::shared(key).map_err(|_| StoreError::Unavailable)?;
            let is_there = present.is_some();
            let (mut value, cas) = present.unwrap_or_default();
            let update = change(is_there.then_some(&value));
            if !update.apply(&mut value) {
                return Ok(());
            }
            match host::set_shared(key, &value, cas) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(_) => return Err(StoreError::Unavailable),
            }
        }
        Err(StoreError::Contended)
    }
}

/// Makes every key exist.
///
/// Envoy configures a plugin on its main thread before any worker has it, so nothing else writes while the first plugin
/// seeds. A later plugin finds the keys there.
pub(crate) fn seed() -> Result<(), HostError> {
    for key in slot_keys() {
        if host::shared(&key)?.is_none() {
            host::set_shared(&key, EMPTY_SLOT, 0)?;
        }
    }
    Ok(())
}
