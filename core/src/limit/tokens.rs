//! Rate limits in tokens, in shared memory.
//!
//! A request reserves the most tokens that it can take before it goes on, and settles what it took when its answer has ended.
//! What was taken comes back evenly, as in GCRA: the budget is full again after the time of the limit. What is reserved does
//! not come back before it is settled. A reservation that is never settled holds its tokens for twenty minutes at most.
//!
//! A request that may take more than the whole budget waits for a full one, and reserves all of it. So a budget is overrun
//! by the error of an estimate only. The debt is paid back, up to one more budget.

use super::token_limit::TokenLimit;
use super::tokens_level::{Reserved, TokensTaken};
use super::tokens_slot::{Key, Slot};
use crate::base::{Digest, Moment};
use crate::host::{SlotKind, Store, StoreError, Update};

/// The attempts to settle: other workers may change the value at each of them.
const ATTEMPTS: u8 = 3;

/// A reservation of tokens. It ends by being settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation that is not settled holds its tokens"]
pub(crate) struct Hold {
    caller: Digest,
    key: Key,
    limit: TokenLimit,
    reserved: Reserved,
}

/// Reserves the tokens of a request. The inner error is a budget that lacks them.
///
/// # Errors
/// [`StoreError`] where nothing can be reserved.
pub(crate) fn reserve_tokens(
    store: &dyn Store,
    caller: &Digest,
    limit: TokenLimit,
    tokens: u64,
    now: Moment,
) -> Result<Result<(Hold, TokensTaken), TokensTaken>, StoreError> {
    let now = now.nanoseconds();
    let mut outcome = None;
    store.update(&SlotKind::Tokens.key(caller), &mut |value| {
        let mut slot = Slot::read(value, now);
        let (key, level) = slot.of(caller);
        let mut level = level.at(Some(limit), now);
        let reserved = level.reserve(limit, tokens, now);
        let hold = |reserved| Hold { caller: *caller, key, limit, reserved };
        outcome = Some(reserved.map(|amount| (hold(amount), level.taken(limit, now))));
        slot.put(key, level);
        Update::Set(slot.write())
    })?;
    outcome.ok_or(StoreError::Unavailable)
}

/// Returns what is left of a budget.
///
/// # Errors
/// [`StoreError`] where that is not known.
pub(crate) fn tokens_left(
    store: &dyn Store,
    caller: &Digest,
    limit: TokenLimit,
    now: Moment,
) -> Result<TokensTaken, StoreError> {
    let now = now.nanoseconds();
    let value = store.get(&SlotKind::Tokens.key(caller))?;
    let (_, level) = Slot::read(value.as_deref(), now).of(caller);
    Ok(level.at(Some(limit), now).taken(limit, now))
}

/// Takes what a request took, and ends its reservation; a request that took nothing gives all of it back.
///
/// # Errors
/// [`StoreError`] where that cannot be written.
pub(crate) fn settle_tokens(
    store: &dyn Store,
    hold: &Hold,
    tokens: u64,
    now: Moment,
) -> Result<(), StoreError> {
    let now = now.nanoseconds();
    let settle = || {
        store.update(&SlotKind::Tokens.key(&hold.caller), &mut |value| {
            let mut slot = Slot::read(value, now);
            let mut level = slot.get(hold.key).at(Some(hold.limit), now);
            level.settle(hold.reserved, hold.limit, tokens, now);
            slot.put(hold.key, level);
            Update::Set(slot.write())
        })
    };
    (1..ATTEMPTS).fold(settle(), |settled, _| settled.or_else(|_| settle()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::MemoryStore;

    const NOW: Moment = Moment(1_800_000_000 * 1_000_000_000);

    fn at(seconds: u64) -> Moment {
        NOW.after(std::time::Duration::from_secs(seconds))
    }

    struct Caller(MemoryStore, Digest, TokenLimit);

    impl Caller {
        fn new(tokens: u32) -> Self {
            Self(MemoryStore::default(), Digest::of(b"t"), TokenLimit::new(tokens, 60).unwrap())
        }

        fn reserve(&self, tokens: u64, now: Moment) -> Result<Hold, TokensTaken> {
            reserve_tokens(&self.0, &self.1, self.2, tokens, now).unwrap().map(|(hold, _)| hold)
        }

        fn settle(&self, hold: &Hold, tokens: u64, now: Moment) {
            settle_tokens(&self.0, hold, tokens, now).unwrap();
        }

        fn left(&self, now: Moment) -> u32 {
            tokens_left(&self.0, &self.1, self.2, now).unwrap().remaining
        }
    }

    #[test]
    fn a_request_takes_what_it_took_and_not_what_it_reserved() {
        let caller = Caller::new(6000);
        let hold = caller.reserve(5000, at(0)).unwrap();
        let refused = caller.reserve(2000, at(0)).unwrap_err();
        assert_eq!((refused.limit, refused.remaining, refused.retry_after), (6000, 1000, 10));
        assert_eq!((refused.reset_milliseconds, refused.window), (50_000, 60));
        caller.settle(&hold, 600, at(0));
        assert_eq!(caller.left(at(0)), 5400);
        assert_eq!(caller.left(at(3)), 5700, "what was taken comes back evenly");
        assert_eq!(caller.left(at(6)), 6000);
        assert_eq!(caller.left(at(600)), 6000, "a budget is never more than full");
    }

    #[test]
    fn what_is_reserved_does_not_come_back_before_it_is_settled() {
        let caller = Caller::new(6000);
        let hold = caller.reserve(6000, at(0)).unwrap();
        assert!(caller.reserve(1, at(120)).is_err());
        caller.settle(&hold, 6000, at(120));
        assert!(caller.reserve(1, at(120)).is_err());
        assert_eq!(caller.left(at(150)), 3000);
    }

    #[test]
    fn a_request_that_may_take_more_than_the_whole_budget_waits_for_a_full_one() {
        let caller = Caller::new(6000);
        let small = caller.reserve(600, at(0)).unwrap();
        caller.settle(&small, 600, at(0));
        let refused = caller.reserve(128_000, at(0)).unwrap_err();
        assert_eq!(refused.retry_after, 6);
        let large = caller.reserve(128_000, at(6)).unwrap();
        assert!(caller.reserve(1, at(6)).is_err(), "nothing goes on beside it");
        caller.settle(&large, 900, at(10));
        assert_eq!(caller.left(at(10)), 5100);
    }

    #[test]
    fn an_estimate_that_was_too_small_is_paid_back_up_to_one_more_budget() {
        for (took, waits) in [(7200, 12), (600_000, 60)] {
            let caller = Caller::new(6000);
            let hold = caller.reserve(10, at(0)).unwrap();
            caller.settle(&hold, took, at(0));
            let refused = caller.reserve(0, at(0)).unwrap_err();
            assert_eq!((refused.remaining, refused.retry_after), (0, waits), "{took}");
            assert!(caller.reserve(0, at(waits.into())).is_ok(), "{took}");
        }
    }

    #[test]
    fn a_reservation_that_is_never_settled_holds_its_tokens_for_twenty_minutes_at_most() {
        let caller = Caller::new(6000);
        let lost = caller.reserve(6000, at(0)).unwrap();
        assert!(caller.reserve(1, at(599)).is_err());
        assert!(caller.reserve(1, at(1200)).is_ok());
        // One that is settled after all takes what its request took.
        caller.settle(&lost, 6000, at(1200));
        assert!(caller.reserve(1, at(1200)).is_err());
    }

    #[test]
    fn a_clock_that_was_put_back_keeps_no_caller_out_for_longer_than_two_budgets() {
        let caller = Caller::new(6000);
        let hold = caller.reserve(6000, at(3600)).unwrap();
        caller.settle(&hold, 6000, at(3600));
        let refused = caller.reserve(6000, at(0)).unwrap_err();
        assert!(refused.retry_after <= 120, "{refused:?}");
    }

    #[test]
    fn callers_of_one_slot_have_budgets_of_their_own_and_the_value_stays_bounded() {
        let store = MemoryStore::default();
        let limit = TokenLimit::new(100, 60).unwrap();
        let crowd: Vec<Digest> =
            (1..=200).map(|number| Digest::from_hex(&format!("abcd{number:060x}")).unwrap()).collect();
        let take = |caller: &Digest, now| {
            let reserved = reserve_tokens(&store, caller, limit, 100, now).unwrap();
            let Ok((hold, _)) = reserved else { return false };
            settle_tokens(&store, &hold, 100, now).unwrap();
            true
        };
        let went_on = crowd.iter().filter(|caller| take(caller, at(0))).count();
        assert_eq!(went_on, Slot::MAX_ENTRIES + 1, "newcomers share one budget");
        assert!(crowd.iter().all(|caller| !take(caller, at(0))));
        let value = store.get(&SlotKind::Tokens.key(&crowd[0])).unwrap().unwrap();
        assert!(value.len() <= Slot::MAX_BYTES);
        assert!(take(&crowd[150], at(60)), "a minute later");
    }

    #[test]
    fn garbage_is_no_budget_and_no_panic() {
        for garbage in [&b""[..], b"\0", b"\x01\x02", &[0xff; 65], &[1; 65], &[1; 66], &[1; 3000]] {
            let store = MemoryStore::default();
            let caller = Digest::of(b"t");
            store.update(&SlotKind::Tokens.key(&caller), &mut |_| Update::Set(garbage.to_vec())).unwrap();
            let limit = TokenLimit::new(100, 60).unwrap();
            let reserved = reserve_tokens(&store, &caller, limit, 100, NOW).unwrap();
            assert!(reserved.is_ok(), "{garbage:?}");
        }
    }

    proptest! {
        /// A model that knows every request: what was taken within any time is no more than a full budget and what came
        /// back, where no estimate was too small.
        #[test]
        fn no_more_is_taken_than_a_full_budget_and_what_comes_back(
            limit in 1_u32..5000,
            steps in prop::collection::vec((0..3000_u64, 1..4000_u64, 0..=100_u64, any::<bool>()), 1..60),
        ) {
            let caller = Caller::new(limit);
            let mut now = NOW;
            let mut open: Vec<(Hold, u64)> = Vec::new();
            let mut taken: Vec<(Moment, u64)> = Vec::new();
            for (pause, tokens, percent, settles) in steps {
                now = now.after(std::time::Duration::from_millis(pause));
                if settles && !open.is_empty() {
                    let (hold, took) = open.remove(0);
                    caller.settle(&hold, took, now);
                    taken.push((now, took));
                } else if let Ok(hold) = caller.reserve(tokens, now) {
                    let took = tokens.min(u64::from(limit)) * percent / 100;
                    open.push((hold, took));
                }
            }
            for (first, (since, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (until, took) in &taken[first..] {
                    sum += took;
                    let back = u128::from(limit) * u128::from(until.0 - since.0) / 60_000_000_000;
                    prop_assert!(u128::from(sum) <= u128::from(limit) + back + 1, "{sum} of {limit}");
                }
            }
        }
    }
}
