//! Rate limits in tokens, in shared memory.
//!
//! A request reserves the most tokens that it can take before it goes on, and settles what it took when its answer has ended.
//! What was taken comes back evenly, as in GCRA: the budget is full again after the time of the limit. What is reserved does
//! not come back before it is settled. A reservation that is never settled holds its tokens for twenty minutes at most.
//!
//! A request that may take more than the whole budget waits for a full one, and reserves all of it. So a budget is overrun
//! by the error of an estimate only. The debt is paid back, up to one more budget.

use super::token_limit::{NANOSECONDS, TokenLimit};
use super::tokens_slot::{Key, Slot};
use crate::base::{Digest, Moment};
use crate::host::{SlotKind, Store, StoreError, Update};

/// The time after which reservations are held in another place: the second move drops those that were never settled.
const EPOCH_SECONDS: i64 = 600;
/// The attempts to settle: other workers may change the value at each of them.
const ATTEMPTS: u8 = 3;

/// The outcome of reserving tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokensTaken {
    /// The number of tokens in a full budget.
    pub limit: u32,
    /// The number of tokens that are left.
    pub remaining: u32,
    /// The seconds until the request fits; 0 where it does.
    pub retry_after: u32,
    /// The milliseconds until the budget is full, if nothing more is taken.
    pub reset_milliseconds: u64,
    /// The seconds in which a spent budget becomes full.
    pub window: u32,
}

/// A reservation of tokens. It ends by being settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation that is not settled holds its tokens"]
pub(crate) struct Hold {
    caller: Digest,
    key: Key,
    limit: TokenLimit,
    amount: u64,
    epoch: i64,
}

/// The budget of a caller. The default is a full one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// The time at which the budget is full again, in nanoseconds since 1970.
    pub(super) full_at: i64,
    /// The tokens that are reserved since the present epoch began, and those of the epoch before it.
    pub(super) held: u64,
    pub(super) held_before: u64,
    pub(super) epoch: i64,
}

impl Level {
    /// Returns the budget as it stands now. What lies further ahead than two budgets is from a clock that was put back, or from
    /// a larger limit.
    pub(super) fn at(mut self, limit: Option<TokenLimit>, now: i64) -> Self {
        if let Some(limit) = limit {
            self.full_at = self.full_at.min(now.saturating_add(limit.window().saturating_mul(2)));
        }
        self.full_at = self.full_at.max(now);
        let all = self.all_held();
        let epoch = epoch(now);
        match epoch.saturating_sub(self.epoch) {
            0 => {}
            1 => (self.held_before, self.held) = (self.held, 0),
            2.. => (self.held_before, self.held) = (0, 0),
            // The clock was put back.
            _ => (self.held_before, self.held) = (0, all),
        }
        self.epoch = epoch;
        self
    }

    /// Tells whether nothing is taken and nothing is reserved.
    pub(super) fn is_full(self, now: i64) -> bool {
        self.full_at <= now && self.all_held() == 0
    }

    fn all_held(self) -> u64 {
        self.held.saturating_add(self.held_before)
    }

    /// Reserves tokens, if they are there. Returns what was reserved.
    fn reserve(&mut self, limit: TokenLimit, tokens: u64, now: i64) -> Result<u64, TokensTaken> {
        let amount = tokens.min(limit.tokens().into());
        let reserved = self.all_held().saturating_add(amount);
        let ahead = self.full_at.saturating_sub(now).saturating_add(limit.time_of(reserved));
        let lacking = ahead.saturating_sub(limit.window());
        if lacking > 0 {
            let seconds = lacking.saturating_add(NANOSECONDS.saturating_sub(1)).div_euclid(NANOSECONDS);
            let retry_after = u32::try_from(seconds).unwrap_or(u32::MAX);
            return Err(TokensTaken { retry_after, ..self.taken(limit, now) });
        }
        self.held = self.held.saturating_add(amount);
        Ok(amount)
    }

    /// Ends a reservation, and takes what its request took.
    fn settle(&mut self, hold: &Hold, tokens: u64, now: i64) {
        let place = match self.epoch.saturating_sub(hold.epoch) {
            ..=0 => Some(&mut self.held),
            1 => Some(&mut self.held_before),
            _ => None,
        };
        if let Some(place) = place {
            *place = place.saturating_sub(hold.amount);
        }
        let furthest = now.saturating_add(hold.limit.window().saturating_mul(2));
        self.full_at = self.full_at.saturating_add(hold.limit.time_of(tokens)).min(furthest);
    }

    fn taken(&self, limit: TokenLimit, now: i64) -> TokensTaken {
        let ahead = self.full_at.saturating_sub(now).saturating_add(limit.time_of(self.all_held()));
        TokensTaken {
            limit: limit.tokens(),
            remaining: limit.tokens_in(limit.window().saturating_sub(ahead)),
            retry_after: 0,
            reset_milliseconds: u64::try_from(ahead).unwrap_or(0).div_ceil(1_000_000),
            window: limit.seconds(),
        }
    }
}

fn epoch(now: i64) -> i64 {
    now.div_euclid(EPOCH_SECONDS.saturating_mul(NANOSECONDS))
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
        let hold = |amount| Hold { caller: *caller, key, limit, amount, epoch: level.epoch };
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
            level.settle(hold, tokens, now);
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
