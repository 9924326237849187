//! The state of the source in this process, for metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use keyswap_core::base::UnixTime;

/// The state of all namespaces. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<BTreeMap<String, NamespaceStatus>>>);

/// The state of one namespace.
#[derive(Clone, Debug, Default)]
pub struct NamespaceStatus {
    /// True if this process applies the Secrets. Another one does otherwise, or none.
    pub applies: bool,
    /// The number of Secrets that declare a token.
    pub accepted: usize,
    /// The names of the Secrets with faults.
    pub refused: Vec<String>,
    /// The time at which the registry last was what the Secrets say.
    pub applied_at: Option<UnixTime>,
    /// True while the API server or the database cannot be asked.
    pub is_failing: bool,
}

impl Status {
    /// Returns the states by namespace.
    pub fn namespaces(&self) -> Vec<(String, NamespaceStatus)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(name, status)| (name.clone(), status.clone())).collect()
    }

    pub(super) fn update(&self, namespace: &str, change: impl FnOnce(&mut NamespaceStatus)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(namespace.to_owned()).or_default());
    }
}
