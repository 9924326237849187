//! Slices of budgets in the memory that the workers of a process share: each change is one compare-and-swap.

use std::time::Duration;

use super::amount::Amount;
use super::slice::{Granted, Reservation, Reserved, Slice, Standing, Told};
use super::slice_slot::Slot;
use crate::base::{Digest, Moment};
use crate::host::{SlotKind, Store, StoreError, Update};

/// Reserves what a request may take from a subject's budget at most.
///
/// # Errors
/// [`StoreError`] where nothing can be reserved.
pub(crate) fn reserve(
    store: &dyn Store,
    subject: &Digest,
    amount: &Amount,
    now: Moment,
) -> Result<Reserved, StoreError> {
    let mut reserved = Reserved::Missing;
    change(store, subject, &mut |slot| {
        reserved =
            slot.get_mut(subject).map_or(Reserved::Missing, |slice| slice.reserve(subject, amount, now));
        matches!(reserved, Reserved::Held(_))
    })?;
    Ok(reserved)
}

/// Returns whether a call may bring what a request lacks: there is no lease, or the slice is too small. Changes nothing.
///
/// # Errors
/// [`StoreError`] where the memory cannot be read.
pub(crate) fn lacks(
    store: &dyn Store,
    subject: &Digest,
    amount: &Amount,
    now: Moment,
) -> Result<bool, StoreError> {
    let value = store.get(&SlotKind::Slice.key(subject))?;
    let mut slot = Slot::read(value.as_deref());
    let reserved = slot.get_mut(subject).map(|slice| slice.reserve(subject, amount, now));
    Ok(matches!(reserved, None | Some(Reserved::Missing | Reserved::Short)))
}

/// Charges what a request has cost, and ends its reservation. An amount of nothing gives the reservation back.
///
/// # Errors
/// [`StoreError`] where nothing could be charged: the reservation is to be settled again later.
pub(crate) fn settle(
    store: &dyn Store,
    reservation: &Reservation,
    actual: &Amount,
    now: Moment,
) -> Result<(), StoreError> {
    let mut answer = Ok(());
    let subject = &reservation.subject;
    change(store, subject, &mut |slot| {
        // The memory may have forgotten the slice: the spending is carried into the next lease.
        let orphan = Slice { unit: Some(reservation.unit), ..Slice::default() };
        let slice = slot.get_or_make(subject, orphan, now);
        answer = slice.map(|slice| slice.settle(reservation, actual, now)).ok_or(StoreError::Unavailable);
        answer.is_ok()
    })?;
    answer
}

/// Begins a call to the registry, and returns what it tells. `None` where there is no room for the answer.
///
/// `nonce` identifies the first lease of the subject, whichever worker asks for it.
///
/// # Errors
/// [`StoreError`] where the call could not be noted.
pub(crate) fn begin(
    store: &dyn Store,
    subject: &Digest,
    nonce: [u8; 16],
    now: Moment,
) -> Result<Option<Told>, StoreError> {
    begin_if(store, subject, nonce, now, |_| true)
}

/// Begins a call if one is due: the spending that was gathered for `gathering` is to be reported, or the lease renewed.
///
/// # Errors
/// [`StoreError`] where the call could not be noted.
pub(crate) fn begin_due(
    store: &dyn Store,
    subject: &Digest,
    nonce: [u8; 16],
    gathering: Duration,
    now: Moment,
) -> Result<Option<Told>, StoreError> {
    let value = store.get(&SlotKind::Slice.key(subject))?;
    if !Slot::read(value.as_deref()).get_mut(subject).is_some_and(|slice| slice.is_due(gathering, now)) {
        return Ok(None);
    }
    // Another worker may have been faster.
    begin_if(store, subject, nonce, now, |slice| slice.is_due(gathering, now))
}

/// Begins a call that gives the rest of a slice back, where there is a rest and no request holds any of it.
///
/// # Errors
/// [`StoreError`] where the call could not be noted.
pub(crate) fn begin_return(
    store: &dyn Store,
    subject: &Digest,
    nonce: [u8; 16],
    now: Moment,
) -> Result<Option<Told>, StoreError> {
    begin_if(store, subject, nonce, now, |slice| slice.give_back(now))
}

fn begin_if(
    store: &dyn Store,
    subject: &Digest,
    nonce: [u8; 16],
    now: Moment,
    may_begin: impl Fn(&mut Slice) -> bool,
) -> Result<Option<Told>, StoreError> {
    let mut told = None;
    change(store, subject, &mut |slot| {
        let slice = slot.get_or_make(subject, Slice::new(nonce), now);
        told = slice.and_then(|slice| may_begin(slice).then(|| slice.begin(nonce, now)));
        told.is_some()
    })?;
    Ok(told)
}

/// Takes in the answer to a call.
///
/// # Errors
/// [`StoreError`] where there is no room for the lease, or it could not be noted.
pub(crate) fn grant(
    store: &dyn Store,
    subject: &Digest,
    told: &Told,
    granted: &Granted,
    now: Moment,
) -> Result<(), StoreError> {
    let mut answer = Ok(());
    change(store, subject, &mut |slot| {
        let slice = slot.get_or_make(subject, Slice::new(told.nonce), now);
        answer = slice.map(|slice| slice.grant(told, granted, now)).ok_or(StoreError::Unavailable);
        answer.is_ok()
    })?;
    answer
}

/// Notes that a call has failed.
pub(crate) fn fail(store: &dyn Store, subject: &Digest, told: &Told, now: Moment) {
    // Where this cannot be noted, the call is lost, and made again for that.
    let _ = change(store, subject, &mut |slot| {
        slot.get_mut(subject).map(|slice| slice.fail(told, now)).is_some()
    });
}

/// Returns whether the registry has not confirmed all that was spent of a slice. What cannot be read counts as confirmed.
pub(crate) fn is_untold(store: &dyn Store, subject: &Digest) -> bool {
    let value = store.get(&SlotKind::Slice.key(subject)).ok().flatten();
    Slot::read(value.as_deref()).get_mut(subject).is_some_and(|slice| slice.is_untold())
}

/// Returns the state of a subject's budget; `None` where there is none or it is not known.
pub(crate) fn standing(store: &dyn Store, subject: &Digest, now: Moment) -> Option<Standing> {
    let value = store.get(&SlotKind::Slice.key(subject)).ok()??;
    Slot::read(Some(&value)).get_mut(subject)?.state(now)
}

/// Changes a slot. `make` tells whether the slot has changed, and runs again where another worker was faster.
fn change(
    store: &dyn Store,
    subject: &Digest,
    make: &mut dyn FnMut(&mut Slot) -> bool,
) -> Result<(), StoreError> {
    store.update(&SlotKind::Slice.key(subject), &mut |value| {
        let mut slot = Slot::read(value);
        if make(&mut slot) { Update::Set(slot.write()) } else { Update::Keep }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::MemoryStore;
    use crate::limit::{Lease, Unit};
    use crate::price::Nano;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);
    const NONCE: [u8; 16] = [7; 16];

    fn at(seconds: u64) -> Moment {
        NOW.after(Duration::from_secs(seconds))
    }

    fn subject() -> Digest {
        Digest::of(b"token:a")
    }

    fn tokens(tokens: u64) -> Amount {
        Amount { cost: Some(Nano(tokens * 1000)), tokens }
    }

    fn lease(granted: u64, remaining: u64) -> Granted {
        let (id, unit, limit, resets_at) = ("l1".to_owned(), Unit::Tokens, 1000, 1_800_003_600);
        let lease = Lease { id, unit, limit, granted, remaining, resets_at };
        Granted { lease: Some(lease), expires_in: Duration::from_mins(1) }
    }

    fn asked(store: &MemoryStore, granted: &Granted, now: Moment) {
        let told = begin(store, &subject(), NONCE, now).unwrap().unwrap();
        grant(store, &subject(), &told, granted, now).unwrap();
    }

    fn reserved(store: &MemoryStore, amount: u64, now: Moment) -> Reserved {
        reserve(store, &subject(), &tokens(amount), now).unwrap()
    }

    fn held(store: &MemoryStore, amount: u64, now: Moment) -> Reservation {
        match reserved(store, amount, now) {
            Reserved::Held(reservation) => reservation,
            other => panic!("{other:?}"),
        }
    }

    fn left(store: &MemoryStore, now: Moment) -> u64 {
        standing(store, &subject(), now).unwrap().left
    }

    fn due(store: &MemoryStore, now: Moment) -> Option<Told> {
        begin_due(store, &subject(), NONCE, Duration::from_secs(2), now).unwrap()
    }

    #[test]
    fn a_slice_is_reserved_and_settled_and_what_is_left_is_there_again() {
        let store = MemoryStore::default();
        assert_eq!(reserved(&store, 1, NOW), Reserved::Missing);
        asked(&store, &lease(100, 100), NOW);
        let first = held(&store, 60, NOW);
        assert_eq!(left(&store, NOW), 40);
        settle(&store, &first, &tokens(10), NOW).unwrap();
        let second = held(&store, 90, NOW);
        settle(&store, &second, &tokens(0), NOW).unwrap();
        assert_eq!(left(&store, NOW), 90, "a request that went nowhere costs nothing");
        settle(&store, &held(&store, 90, NOW), &tokens(200), NOW).unwrap();
        assert_eq!(left(&store, NOW), 0);
    }

    #[test]
    fn a_budget_is_spent_only_where_the_registry_was_just_asked() {
        let store = MemoryStore::default();
        asked(&store, &lease(100, 150), NOW);
        let spent =
            |now| matches!(reserved(&store, 151, now), Reserved::Spent(standing) if standing.left == 150);
        assert_eq!(reserved(&store, 150, NOW), Reserved::Short, "the registry has more");
        assert!(spent(NOW) && spent(at(1)));
        assert_eq!(reserved(&store, 151, at(2)), Reserved::Short, "others may have given something back");
        let has_ended = |late| reserved(&store, 1, at(late)) == Reserved::Missing;
        assert!([60, 3600, 9999].into_iter().all(has_ended), "the lease has ended");
    }

    #[test]
    fn a_budget_that_is_reserved_is_not_spent() {
        let store = MemoryStore::default();
        asked(&store, &lease(100, 120), NOW);
        let flying = held(&store, 90, NOW);
        assert_eq!(reserved(&store, 30, NOW), Reserved::Short, "the registry has more");
        for (amount, is_spent) in [(31, false), (120, false), (121, true)] {
            let found = reserved(&store, amount, NOW);
            assert_eq!(matches!(found, Reserved::Spent(_)), is_spent, "{amount}");
            assert_eq!(found == Reserved::Busy, !is_spent, "{amount}");
        }
        settle(&store, &flying, &tokens(100), NOW).unwrap();
        assert!(matches!(reserved(&store, 31, NOW), Reserved::Spent(_)));
    }

    #[test]
    fn the_unit_of_the_budget_decides_what_is_taken() {
        let store = MemoryStore::default();
        let mut money = lease(100_000, 100_000);
        money.lease.as_mut().unwrap().unit = Unit::Usd;
        asked(&store, &money, NOW);
        let unpriced = Amount { cost: None, tokens: 5 };
        assert_eq!(reserve(&store, &subject(), &unpriced, NOW).unwrap(), Reserved::Unpriced);
        settle(&store, &held(&store, 70, NOW), &unpriced, NOW).unwrap();
        assert_eq!(left(&store, NOW), 100_000);
        let store = MemoryStore::default();
        asked(&store, &lease(100, 100), NOW);
        assert!(matches!(reserve(&store, &subject(), &unpriced, NOW).unwrap(), Reserved::Held(_)));
    }

    #[test]
    fn a_subject_without_a_budget_is_unlimited_until_it_is_asked_for_again() {
        let store = MemoryStore::default();
        asked(&store, &Granted { lease: None, expires_in: Duration::from_mins(1) }, NOW);
        assert_eq!(reserved(&store, 5, at(59)), Reserved::Unlimited);
        assert_eq!((due(&store, at(59)), standing(&store, &subject(), NOW)), (None, None));
        assert_eq!(reserved(&store, 5, at(60)), Reserved::Missing);
        asked(&store, &lease(100, 100), at(60));
        assert!(matches!(reserved(&store, 5, at(60)), Reserved::Held(_)));
    }

    #[test]
    fn a_call_is_due_for_spending_for_a_lease_in_use_and_for_one_that_runs_low() {
        let fresh = || {
            let store = MemoryStore::default();
            asked(&store, &lease(100, 500), NOW);
            store
        };
        let idle = fresh();
        assert!((0..60).all(|second| due(&idle, at(second)).is_none()), "an idle lease runs out");
        let spending = fresh();
        settle(&spending, &held(&spending, 10, NOW), &tokens(9), at(10)).unwrap();
        assert_eq!(due(&spending, at(11)), None);
        let told = due(&spending, at(12)).unwrap();
        assert_eq!((told.spent, told.lease.as_str()), (9, "l1"));
        assert_eq!(due(&spending, at(13)), None, "one call at a time");
        fail(&spending, &subject(), &told, at(13));
        assert_eq!((due(&spending, at(14)), due(&spending, at(15)).unwrap().spent), (None, 9));
        assert_eq!(due(&spending, at(44)), None, "a call without an answer is waited for");
        assert_eq!(due(&spending, at(45)).unwrap().spent, 9);
        let failed = fresh();
        fail(&failed, &subject(), &begin(&failed, &subject(), NONCE, at(3)).unwrap().unwrap(), at(3));
        settle(&failed, &held(&failed, 10, NOW), &tokens(9), at(10)).unwrap();
        assert_eq!(due(&failed, at(11)), None, "a call with nothing to tell makes no spending wait");
        let used = fresh();
        let _held = held(&used, 10, NOW);
        assert_eq!((due(&used, at(29)), due(&used, at(30)).map(|told| told.spent)), (None, Some(0)));
        let low = fresh();
        let _held = held(&low, 75, NOW);
        assert!(due(&low, at(1)).is_none() && due(&low, at(2)).is_some());
    }

    #[test]
    fn a_reservation_that_is_never_settled_holds_its_amount_for_two_hours_at_most() {
        let store = MemoryStore::default();
        let long = |now| {
            let mut long = lease(100, 100);
            long.lease.as_mut().unwrap().resets_at = 1_900_000_000;
            asked(&store, &long, now);
        };
        long(NOW);
        let lost = held(&store, 100, NOW);
        for hour in [1, 2] {
            long(at(hour * 3600));
            let kept = matches!(reserved(&store, 50, at(hour * 3600)), Reserved::Held(_));
            assert_eq!(kept, hour == 2, "{hour}");
        }
        settle(&store, &lost, &tokens(30), at(7200)).unwrap();
        assert_eq!(left(&store, at(7200)), 20, "what it cost is charged all the same");
    }

    #[test]
    fn a_clock_that_was_put_back_ends_the_lease_and_loses_nothing() {
        let store = MemoryStore::default();
        asked(&store, &lease(100, 100), at(1000));
        let flying = held(&store, 50, at(1000));
        assert_eq!(reserved(&store, 1, NOW), Reserved::Missing);
        asked(&store, &lease(100, 100), NOW);
        assert_eq!(left(&store, NOW), 50);
        settle(&store, &flying, &tokens(20), NOW).unwrap();
        assert_eq!(left(&store, NOW), 80);
        assert_eq!(due(&store, at(2)).unwrap().spent, 20);
    }

    #[test]
    fn garbage_is_no_lease_and_what_is_settled_after_it_is_carried_into_the_next() {
        let key = SlotKind::Slice.key(&subject());
        for garbage in [&b""[..], b"\0", b"\x01\x02", &[0xff; 300], &[1; 211]] {
            let store = MemoryStore::default();
            asked(&store, &lease(100, 100), NOW);
            let flying = held(&store, 50, NOW);
            store.update(&key, &mut |_| Update::Set(garbage.to_vec())).unwrap();
            assert_eq!(reserved(&store, 1, NOW), Reserved::Missing, "{garbage:?}");
            settle(&store, &flying, &tokens(20), NOW).unwrap();
            let told = due(&store, at(2)).unwrap();
            assert_eq!((told.spent, told.lease.as_str(), told.nonce), (0, "", NONCE));
            grant(&store, &subject(), &told, &lease(100, 100), at(2)).unwrap();
            assert_eq!(left(&store, at(2)), 80);
            assert_eq!(due(&store, at(4)).unwrap().spent, 20);
        }
    }

    #[test]
    fn a_full_slot_keeps_what_is_in_use_and_has_no_room_for_more() {
        let store = MemoryStore::default();
        let crowd: Vec<Digest> =
            (0..40).map(|number| Digest::from_hex(&format!("abcd{number:060x}")).unwrap()).collect();
        let call = |subject: &Digest, now| begin(&store, subject, NONCE, now).unwrap();
        let answered = |subject: &Digest, now| {
            call(subject, now).map(|told| grant(&store, subject, &told, &lease(9, 9), now).unwrap()).is_some()
        };
        assert_eq!(crowd.iter().filter(|subject| answered(subject, NOW)).count(), 16);
        let flying = reserve(&store, &crowd[0], &tokens(5), NOW).unwrap();
        assert!(matches!(flying, Reserved::Held(_)));
        let late = crowd.iter().skip(20).filter(|subject| answered(subject, at(61))).count();
        assert_eq!(late, 15, "one is in use");
    }
}
