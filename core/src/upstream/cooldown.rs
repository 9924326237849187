//! Cooldowns of credentials: an upstream refused one (401) or found it too busy (429), so its callers use another for a
//! while.
//!
//! A refusal may be the doing of one caller, which asks for what the key is not for, or too often. So the credential
//! rests for that caller. It rests for all once another caller was refused in the same way: by a 401 with no other
//! answer in between, or by a 429 while the first caller's cooldown lasts.
//!
//! All workers of a process share the cooldown for all. Shared memory holds a name's digest and two times; garbage there
//! can at worst make another key be used. The cooldown of one caller is the worker's own.

use std::cell::Cell;
use std::time::Duration;

use crate::base::{Digest, Moment};
use crate::host::{SharedValue, SlotKey, SlotKind, Store, Update};

/// The longest cooldown, whatever an upstream says.
pub(crate) const MAX_COOLDOWN: Duration = Duration::from_hours(1);

/// The way in which an upstream refused a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The credential is not accepted (401).
    Unauthorized,
    /// The credential was used too often (429).
    Busy,
}

/// The caller that was refused last, and its own cooldown.
#[derive(Clone, Copy)]
struct Refused {
    principal: Digest,
    refusal: Refusal,
    since: Moment,
    until: Moment,
}

pub(crate) struct Cooldown {
    /// The key of the credential in shared memory.
    digest: Digest,
    /// The begin and the end of the cooldown for all.
    span: Cell<(Moment, Moment)>,
    refused: Cell<Option<Refused>>,
}

impl Cooldown {
    pub(super) fn new(name: &str) -> Self {
        let digest = Digest::of(format!("credential\0{name}").as_bytes());
        Self { digest, span: Cell::default(), refused: Cell::default() }
    }

    /// Returns the begin and the end of the cooldown for all; `None` where none lasts now.
    pub(super) fn now(&self, now: Moment) -> Option<(Moment, Moment)> {
        Some(self.span.get()).filter(|span| lasts(*span, now))
    }

    /// Returns the begin and the end of the cooldown for this caller, be it its own or that for all.
    pub(super) fn of_caller(&self, principal: &Digest, now: Moment) -> Option<(Moment, Moment)> {
        let own = self.refused.get().filter(|refused| refused.principal == *principal);
        let own = own.map(|refused| (refused.since, refused.until)).filter(|span| lasts(*span, now));
        self.now(now).or(own)
    }

    /// Notes that an upstream answered, and refused neither the credential nor the pace.
    pub(crate) fn accepted(&self) {
        // A key that is too busy for one caller may have had room for another.
        if self.refused.get().is_some_and(|refused| refused.refusal == Refusal::Unauthorized) {
            self.refused.set(None);
        }
    }

    /// Notes that an upstream refused a request of this caller. The credential rests for the caller; for all, where it
    /// was refused to another caller, too.
    pub(crate) fn refused(
        &self,
        principal: Digest,
        refusal: Refusal,
        span: Duration,
        now: Moment,
        store: &dyn Store,
    ) {
        let is_of_another = |last: &Refused| {
            let still_counts = refusal == Refusal::Unauthorized || lasts((last.since, last.until), now);
            last.principal != principal && last.refusal == refusal && still_counts
        };
        if self.refused.get().as_ref().is_some_and(is_of_another) {
            return self.begin(span, now, store);
        }
        self.refused.set(Some(Refused { principal, refusal, since: now, until: now.after(span) }));
    }

    /// Begins a cooldown for all, on every worker; a longer one stays.
    fn begin(&self, span: Duration, now: Moment, store: &dyn Store) {
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

    fn place(&self) -> SlotKey {
        SlotKind::Cooldown.key(&self.digest)
    }

    fn decode(&self, value: &[u8]) -> Option<(Moment, Moment)> {
        let [since, until] = SharedValue::numbers(value, &self.digest)?;
        Some((Moment(since), Moment(until)))
    }
}

/// Tells whether a cooldown lasts. A clock that was put back does not prolong it.
fn lasts((_, until): (Moment, Moment), now: Moment) -> bool {
    now < until && until <= now.after(MAX_COOLDOWN)
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
    fn one_caller_rests_a_credential_for_itself_and_two_for_all() {
        let store = MemoryStore::default();
        let [alice, bob, carol] = [&b"alice"[..], b"bob", b"carol"].map(Digest::of);
        let span = Duration::from_mins(1);
        let (unauthorized, busy) = (Refusal::Unauthorized, Refusal::Busy);
        // Each step: the second, the caller, and the refusal; `None` is an answer of another kind.
        for (steps, at, rests) in [
            // Whether it rests for Alice, and for Carol who was never refused.
            (&[(0, alice, Some(busy))][..], 59, (true, false)),
            (&[(0, alice, Some(busy))], 60, (false, false)),
            (&[(0, alice, Some(unauthorized))], 59, (true, false)),
            (&[(0, alice, Some(busy)), (1, alice, Some(busy)), (2, alice, Some(busy))], 2, (true, false)),
            (&[(0, alice, Some(unauthorized)); 5], 1, (true, false)),
            (&[(0, alice, Some(busy)), (59, bob, Some(busy))], 118, (true, true)),
            (&[(0, alice, Some(busy)), (60, bob, Some(busy))], 60, (false, false)),
            (&[(0, alice, Some(unauthorized)), (600, bob, Some(unauthorized))], 600, (true, true)),
            (
                &[(0, alice, Some(unauthorized)), (1, bob, None), (2, bob, Some(unauthorized))],
                2,
                (false, false),
            ),
            // A busy key has room for some in between.
            (&[(0, alice, Some(busy)), (1, bob, None), (2, bob, Some(busy))], 2, (true, true)),
            // One of a kind says nothing of the other kind.
            (&[(0, alice, Some(busy)), (1, bob, Some(unauthorized))], 1, (false, false)),
        ] {
            let cooldown = Cooldown::new(&format!("{steps:?}"));
            for (second, principal, refusal) in steps {
                match refusal {
                    Some(refusal) => cooldown.refused(*principal, *refusal, span, later(*second), &store),
                    None => cooldown.accepted(),
                }
            }
            let rests_for = |principal| cooldown.of_caller(principal, later(at)).is_some();
            assert_eq!((rests_for(&alice), rests_for(&carol)), rests, "{steps:?}");
            assert_eq!(cooldown.now(later(at)).is_some(), rests.1, "{steps:?}");
        }
    }
}
