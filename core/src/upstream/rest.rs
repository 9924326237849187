//! Credentials that rest: an upstream refused one (401) or found it too busy (429), so its callers use another for a while.
//!
//! That it is busy holds for everybody. That it is refused may be the doing of one caller, who asks for what the key is not
//! for: so one caller's refusals count for little, and an answer of another kind takes them back. All workers of a process
//! rest together. What is told in shared memory is a name and two times; the worst that garbage there does is to have
//! another key used.

use std::cell::Cell;
use std::time::Duration;

use crate::store::{Kind, Store, Update};
use crate::time::Moment;
use crate::token::TokenDigest;

/// A credential rests for no longer than that, whatever an upstream says.
pub(crate) const LONGEST_REST: Duration = Duration::from_hours(1);
/// So many refusals of one caller, with no other answer in between, are as good as those of two callers.
const REFUSALS_OF_ONE: u8 = 3;

pub(crate) struct Rest {
    /// What the credential is known by in shared memory.
    digest: TokenDigest,
    /// Since when and until when it rests.
    span: Cell<(Moment, Moment)>,
    /// Whose requests were refused last, and how often in a row.
    refused: Cell<Option<(TokenDigest, u8)>>,
}

impl Rest {
    pub(super) fn new(name: &str) -> Self {
        let digest = TokenDigest::of(format!("credential\0{name}").as_bytes());
        Self { digest, span: Cell::default(), refused: Cell::default() }
    }

    /// Since when and until when it rests, if it does now.
    pub(super) fn now(&self, now: Moment) -> Option<(Moment, Moment)> {
        let (since, until) = self.span.get();
        // A clock that was put back does not prolong it.
        (now < until && until <= now.after(LONGEST_REST)).then_some((since, until))
    }

    /// An upstream answered, and did not refuse it.
    pub(crate) fn accepted(&self) {
        self.refused.set(None);
    }

    /// An upstream refused a request of this caller. Whether that is about the credential.
    pub(crate) fn refused(&self, principal: TokenDigest) -> bool {
        let times = match self.refused.get() {
            Some((other, times)) if other == principal => times.saturating_add(1),
            Some(_) => REFUSALS_OF_ONE,
            None => 1,
        };
        self.refused.set(Some((principal, times)));
        times >= REFUSALS_OF_ONE
    }

    /// Rests for so long, on every worker; a longer rest stays.
    pub(crate) fn begin(&self, span: Duration, now: Moment, store: &dyn Store) {
        self.refused.set(None);
        let until = now.after(span);
        if self.now(now).is_none_or(|(_, present)| present < until) {
            self.span.set((now, until));
            let value = [&self.digest.bytes()[..], &now.0.to_be_bytes(), &until.0.to_be_bytes()].concat();
            // Where others cannot be told, each finds out for itself.
            let _ = store.update(&self.place(), &mut |_| Update::Set(value.clone()));
        }
    }

    /// Hears whether another worker had it rest.
    pub(crate) fn listen(&self, now: Moment, store: &dyn Store) {
        let told = store.get(&self.place()).ok().flatten();
        if let Some((since, until)) = told.and_then(|told| self.decode(&told))
            && since <= now
            && until > self.span.get().1
        {
            self.span.set((since, until));
        }
    }

    fn place(&self) -> String {
        Kind::Rest.key(self.digest.bytes())
    }

    fn decode(&self, told: &[u8]) -> Option<(Moment, Moment)> {
        let (since, until) = told.strip_prefix(&self.digest.bytes()[..])?.split_first_chunk::<8>()?;
        let until: &[u8; 8] = until.try_into().ok()?;
        Some((Moment(u64::from_be_bytes(*since)), Moment(u64::from_be_bytes(*until))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    fn later(seconds: u64) -> Moment {
        NOW.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_longer_rest_is_not_cut_short_and_a_clock_that_is_put_back_ends_it() {
        let store = MemoryStore::default();
        let rest = Rest::new("a");
        rest.begin(Duration::from_mins(50), NOW, &store);
        rest.begin(Duration::from_mins(1), later(1), &store);
        assert_eq!(rest.now(later(100)), Some((NOW, later(3000))));
        assert_eq!(rest.now(later(3000)), None);
        assert_eq!(rest.now(Moment(NOW.0 - 3_600_000_000_000)), None);
    }

    #[test]
    fn another_worker_hears_of_it_and_garbage_means_nothing() {
        let store = MemoryStore::default();
        let (rest, other) = (Rest::new("a"), Rest::new("a"));
        let say = |value: Vec<u8>| {
            store.update(&rest.place(), &mut |_| Update::Set(value.clone())).unwrap();
            let heard = Rest::new("a");
            heard.listen(NOW, &store);
            heard.now(NOW)
        };
        let of = |digest: &TokenDigest, since: u64, until: u64| {
            [&digest.bytes()[..], &since.to_be_bytes(), &until.to_be_bytes()].concat()
        };
        let (since, until) = (NOW.0, later(60).0);
        for garbage in [
            vec![],
            vec![0],
            vec![255; 48],
            of(&TokenDigest::of(b"another"), since, until),
            [of(&rest.digest, since, until), vec![0]].concat(),
            of(&rest.digest, since, until)[..47].to_vec(),
            of(&rest.digest, since, u64::MAX),
            of(&rest.digest, later(1).0, until),
            of(&rest.digest, since, NOW.0),
        ] {
            assert_eq!(say(garbage.clone()), None, "{garbage:?}");
        }
        rest.begin(Duration::from_mins(1), NOW, &store);
        other.listen(NOW, &store);
        assert_eq!(other.now(NOW), Some((NOW, later(60))));
    }

    #[test]
    fn one_callers_refusals_count_once_there_are_three_and_two_callers_at_once() {
        let (alice, bob) = (TokenDigest::of(b"alice"), TokenDigest::of(b"bob"));
        let rest = Rest::new("a");
        assert!(!rest.refused(alice) && !rest.refused(alice) && rest.refused(alice));
        let rest = Rest::new("a");
        assert!(!rest.refused(alice) && rest.refused(bob));
        let rest = Rest::new("a");
        for _ in 0..10 {
            assert!(!rest.refused(alice) && !rest.refused(alice));
            rest.accepted();
        }
    }
}
