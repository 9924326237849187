//! Counts of events of this process, for `GET /metrics`. They begin with 0 at its start.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number of events.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

/// The events that are counted.
#[derive(Default)]
pub(super) struct Counters {
    /// The asked-for parts of budgets that had less left.
    pub(super) refused_leases: Counter,
    /// The answers that an error of the database prevented.
    pub(super) database_errors: Counter,
    /// The requests with the credential from the environment.
    pub(super) shared_credential_uses: Counter,
}

impl Counter {
    pub(super) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
