//! A judgement that waits for a fetch.

use crate::services::{FetchKey, FetchResults, Resolution};

/// A judgement that goes on once a fetch is done. The value holds nothing of the head, so the host keeps the head or
/// reads it again.
pub(crate) struct Suspended {
    key: FetchKey,
    results: FetchResults,
}

impl Suspended {
    /// Makes the judgement that waits for the fetch with a key.
    pub(crate) fn new(key: FetchKey, results: FetchResults) -> Self {
        Self { key, results }
    }

    /// Adds the resolution of the fetch.
    pub(crate) fn resolve(mut self, resolution: Resolution) -> FetchResults {
        self.results.add(self.key, resolution);
        self.results
    }
}
