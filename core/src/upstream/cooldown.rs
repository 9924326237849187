//! Cooldowns of credentials: an upstream refused one (401) or found it too busy (429), so its callers use another for a
//! while.
//!
//! A 429 holds for every caller. A 401 may be the doing of one caller, which asks for what the key is not for. So one
//! caller's refusals count for little, and an answer of another kind takes them back.
//!
//! All workers of a process share a cooldown. Shared memory holds a name's digest and two times; garbage there can at
//! worst make another key be used.

use std::cell::Cell;
use std::time::Duration;

use crate::base::{Digest, Moment};
use crate::host::{SharedValue, SlotKind, Store, Update};

/// The longest cooldown, whatever an upstream says.
pub(crate) const MAX_COOLDOWN: Duration = Duration::from_hours(1);
/// The refusals of one caller, with no other answer in between, that are as good as those of two callers.
const MAX_REFUSALS_OF_ONE: u8 = 3;

pub(crate) struct Cooldown {
    /// The key of the credential in shared memory.
    digest: Digest,
    /// The begin and the end of the cooldown.
    span: Cell<(Moment, Moment)>,
    /// The caller whose requests were refused last, and the number in a row.
    refused: Cell<Option<(Digest, u8)>>,
}

impl Cooldown {
    pub(super) fn new(name: &str) -> Self {
        let digest = Digest::of(format!("credential\0{name}").as_bytes());
        Self { digest, span: Cell::default(), refused: Cell::default() }
    }

    /// Returns the begin and the end of the cooldown; `None` where none lasts now.
    pub(super) fn now(&self, now: Moment) -> Option<(Moment, Moment)> {
        let (since, until) = self.span.get();
        // A clock that was put back does not prolong it.
        (now < until && until <= now.after(MAX_COOLDOWN)).then_some((since, until))
    }

    /// Notes that an upstream answered, and did not refuse the credential.
    pub(crate) fn accepted(&self) {
        self.refused.set(None);
    }

    /// Notes that an upstream refused a request of this caller. Returns whether that is about the credential.
    pub(crate) fn refused(&self, principal: Digest) -> bool {
        let times = match self.refused.get() {
            Some((other, times)) if other == principal => times.saturating_add(1),
            Some(_) => MAX_REFUSALS_OF_ONE,
            None => 1,
        };
        self.refused.set(Some((principal, times)));
        times >= MAX_REFUSALS_OF_ONE
    }

    /// Begins a cooldown, on every worker; a longer one stays.
    pub(crate) fn begin(&self, span: Duration, now: Moment, store: &dyn Store) {
        self.refused.set(None);
        let until = now.after(span);
        if self.now(now).is_none_or(|(_, present)| present < until) {
            self.span.set((now, until));
            let value = SharedValue::of([now.0, until.0]).encode(&self.digest);
            // Without shared memory each worker finds out for itself.
            let _ = store.update(&self.place(), &mut |_| Update::Set(value.clone()));
        }
    }

    /// Takes over a cooldown that another worker began.
    pub(crate) fn adopt_shared(&self, now: Moment, store: &dyn Store) {
        let value = store.get(&self.place()).ok().flatten();
        if let Some((since, until)) = value.and_then(|value| self.decode(&value))
            && since <= now
            && until > self.span.get().1
        {
            self.span.set((since, until));
        }
    }

    fn place(&self) -> String {
        SlotKind::Cooldown.key(&self.digest)
    }

    fn decode(&self, value: &[u8]) -> Option<(Moment, Moment)> {
        let [since, until] = SharedValue::numbers(value, &self.digest)?;
        Some((Moment(since), Moment(until)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::MemoryStore;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    fn later(seconds: u64) -> Moment {
        NOW.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_longer_rest_is_not_cut_short_and_a_clock_that_is_put_back_ends_it() {
        let store = MemoryStore::default();
        let rest = Cooldown::new("a");
        rest.begin(Duration::from_mins(50), NOW, &store);
        rest.begin(Duration::from_mins(1), later(1), &store);
        assert_eq!(rest.now(later(100)), Some((NOW, later(3000))));
        assert_eq!(rest.now(later(3000)), None);
        assert_eq!(rest.now(Moment(NOW.0 - 3_600_000_000_000)), None);
    }

    #[test]
    fn another_worker_hears_of_it_and_garbage_means_nothing() {
        let store = MemoryStore::default();
        let (rest, other) = (Cooldown::new("a"), Cooldown::new("a"));
        let say = |value: Vec<u8>| {
            store.update(&rest.place(), &mut |_| Update::Set(value.clone())).unwrap();
            let heard = Cooldown::new("a");
            heard.adopt_shared(NOW, &store);
            heard.now(NOW)
        };
        let of = |digest: &Digest, since: u64, until: u64| SharedValue::of([since, until]).encode(digest);
        let (since, until) = (NOW.0, later(60).0);
        for garbage in [
            vec![],
            vec![0],
            vec![255; 48],
            of(&Digest::of(b"another"), since, until),
            [of(&rest.digest, since, until), vec![0]].concat(),
            of(&rest.digest, since, until)[..47].to_vec(),
            of(&rest.digest, since, u64::MAX),
            of(&rest.digest, later(1).0, until),
            of(&rest.digest, since, NOW.0),
        ] {
            assert_eq!(say(garbage.clone()), None, "{garbage:?}");
        }
        rest.begin(Duration::from_mins(1), NOW, &store);
        other.adopt_shared(NOW, &store);
        assert_eq!(other.now(NOW), Some((NOW, later(60))));
    }

    #[test]
    fn one_callers_refusals_count_once_there_are_three_and_two_callers_at_once() {
        let (alice, bob) = (Digest::of(b"alice"), Digest::of(b"bob"));
        let rest = Cooldown::new("a");
        assert!(!rest.refused(alice) && !rest.refused(alice) && rest.refused(alice));
        let rest = Cooldown::new("a");
        assert!(!rest.refused(alice) && rest.refused(bob));
        let rest = Cooldown::new("a");
        for _ in 0..10 {
            assert!(!rest.refused(alice) && !rest.refused(alice));
            rest.accepted();
        }
    }
}
