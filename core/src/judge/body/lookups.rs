//! The objects of one body that the registry was asked for.

use crate::base::{Digest, Moment};
use crate::services::MAX_RETRIES;
use crate::services::registry::Registry;

/// The lookups of one body. An object is asked for once, and again where the answer is out of date.
#[derive(Default)]
pub(super) struct Lookups {
    newest: Vec<Lookup>,
    retries: usize,
}

/// The newest lookup of an object, with the number of its call.
struct Lookup {
    digest: Digest,
    at: Moment,
    call: u64,
}

impl Lookups {
    /// Returns the moment at which an object was asked for.
    pub(super) fn moment(&self, digest: &Digest) -> Option<Moment> {
        self.of(digest).map(|lookup| lookup.at)
    }

    /// Returns whether an object may be asked for.
    pub(super) fn may_ask(&self, digest: &Digest, registry: &Registry) -> bool {
        let may_retry = |lookup: &Lookup| self.retries < MAX_RETRIES && registry.is_outdated(lookup.call);
        self.of(digest).is_none_or(may_retry)
    }

    /// Notes a call that asks for objects.
    pub(super) fn note(&mut self, digests: &[Digest], call: u64, now: Moment) {
        let before = self.newest.len();
        self.newest.retain(|lookup| !digests.contains(&lookup.digest));
        self.retries = self.retries.saturating_add(usize::from(self.newest.len() < before));
        self.newest.extend(digests.iter().map(|digest| Lookup { digest: *digest, at: now, call }));
    }

    /// Forgets what was asked for, but not how often it was asked again.
    pub(super) fn clear(&mut self) {
        self.newest.clear();
    }

    /// Gives up the calls.
    pub(super) fn leave(&self, registry: &Registry) {
        registry.leave(self.newest.iter().map(|lookup| lookup.call));
    }

    fn of(&self, digest: &Digest) -> Option<&Lookup> {
        self.newest.iter().find(|lookup| lookup.digest == *digest)
    }
}
