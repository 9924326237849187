//! Answers about objects whose request has ended: a host could not hold its body until they came, so its caller tries again.
//!
//! Kept is that an object is not the caller's, be it another's or none, and only for the caller that asked. So nothing is told
//! that the answer in time would not have told.

use std::time::Duration;

use super::client::Registry;
use super::memory::Memory;
use super::object_holder::Held;
use super::shared_record::{self, SharedRecord};
use crate::base::{Digest, Moment};
use crate::host::{SlotKind, Store};
use crate::services::fetch::AsOf;

/// The time for which an answer is kept: a client tries again within it.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Keeps for all workers of the process that an object is not the caller's.
pub(super) fn keep(
    state: &Memory,
    caller: &Held,
    object: &Digest,
    as_of: AsOf,
    now: Moment,
    store: &dyn Store,
) {
    let kept = SharedRecord {
        digest: place(state, caller, object),
        version: 0,
        as_of: as_of.position,
        asked_at: as_of.at,
        leased_until: Moment::default(),
        record: Some(b"0"),
    };
    // What could not be shared is asked again.
    let _ = shared_record::fill_in(SlotKind::Object, store, &kept, now);
}

fn place(state: &Memory, caller: &Held, object: &Digest) -> Digest {
    let words = [b"late\0", &caller.holder.principal.bytes()[..], object.bytes()].concat();
    state.place(&Digest::of(&words))
}

impl Registry {
    /// Notes that a request has ended without the answers to the calls of these numbers.
    pub(crate) fn leave(&self, calls: impl Iterator<Item = u64>) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        for number in calls {
            state.objects.guesses.leave(number);
        }
    }

    /// Returns whether an answer that came late says that an object is not the caller's.
    pub(crate) fn was_foreign(&self, caller: &Held, object: &Digest, now: Moment, store: &dyn Store) -> bool {
        let Ok(state) = self.state.try_borrow() else { return false };
        let place = place(&state, caller, object);
        let value = store.get(&SlotKind::Object.key(&place)).ok().flatten();
        let kept = value.as_deref().and_then(|value| SharedRecord::decode(value, &place));
        kept.is_some_and(|kept| {
            now.is_within(KEPT_FOR, kept.asked_at) && state.feed.believes_absence(object, kept.as_of)
        })
    }
}
