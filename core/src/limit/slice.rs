//! A slice of a budget: the part that the registry leased to this data plane, and the reservations and spending in it.
//!
//! A request reserves the most that it can cost before it goes on, and settles when its answer has ended. The registry is
//! told the spending of a lease as a total, so a repeated or lost call counts nothing twice. A lease that has ended is told
//! once more in the call for its successor; what was settled after that call is carried into the successor.
//!
//! A reservation of a lease that has ended holds nothing in the next one, and its cost is charged there all the same. A
//! reservation that is never settled holds its amount for two hours at most.

use super::amount::{Amount, Unit};
use crate::base::{Digest, Moment};

/// The time in which an answer counts as the present state of the budget.
pub(super) const RECENT: std::time::Duration = std::time::Duration::from_secs(2);
/// The time after which a call without an answer is lost.
const LOST_AFTER: std::time::Duration = std::time::Duration::from_secs(30);
/// The differences between the clocks that workers of one process read.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(1);
/// The time after which reservations are held in another place: the second move drops those that were never settled.
const EPOCH_SECONDS: u64 = 3600;

/// A slice, as it stands in shared memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    /// The value by which the registry knows equal calls for a first lease.
    pub(super) nonce: [u8; 16],
    /// The id of the lease; empty before the first one, and where there is no budget.
    pub(super) lease: String,
    /// The unit of the budget; `None` where there is no budget.
    pub(super) unit: Option<Unit>,
    pub(super) numbers: Numbers,
}

/// The numbers of a slice. Times are in nanoseconds unless said otherwise; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The whole budget of the window.
    pub(super) limit: u64,
    /// All that the registry granted to the lease.
    pub(super) granted: u64,
    /// All that was settled in the lease.
    pub(super) spent: u64,
    /// All that was granted to the lease and given back.
    pub(super) returned: u64,
    /// The part of `spent` that the registry has taken in.
    pub(super) told: u64,
    /// The reservations of the present epoch, and those of earlier ones.
    pub(super) held: u64,
    pub(super) held_before: u64,
    pub(super) epoch: u64,
    /// The rest of the window that was leased to no data plane.
    pub(super) more: u64,
    /// The rest of the lease when it was granted.
    pub(super) size: u64,
    /// The end of the window, in seconds.
    pub(super) resets_at: u64,
    pub(super) granted_at: u64,
    pub(super) expires_at: u64,
    /// The calls so far, and the last of them that has an answer or has failed.
    pub(super) calls: u64,
    pub(super) answered: u64,
    pub(super) asked_at: u64,
    /// The time of the first spending that no call has told.
    pub(super) unreported: u64,
}

/// A reservation in a slice. It ends by being settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a reservation that is not settled holds its amount"]
pub(crate) struct Reservation {
    pub(crate) subject: Digest,
    pub(super) unit: Unit,
    amount: u64,
    lease: Digest,
    epoch: u64,
}

impl Reservation {
    /// Returns a reservation of nothing, through which more can be charged.
    pub(crate) fn emptied(&self) -> Self {
        Self { amount: 0, ..*self }
    }
}

/// The outcome of reserving.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// The amount is reserved.
    Held(Reservation),
    /// The subject has no budget.
    Unlimited,
    /// The slice is too small, and the registry may have more.
    Short,
    /// The budget of the window cannot cover the amount.
    Spent(Standing),
    /// The budget can cover the amount only with what requests in flight have reserved.
    Busy,
    /// The cost of the request is not known, and the budget is one of money.
    Unpriced,
    /// There is no lease: the registry has to be asked.
    Missing,
}

/// The state of a budget, as far as this data plane knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) unit: Unit,
    pub(crate) limit: u64,
    pub(crate) left: u64,
    /// The end of the window, in seconds since 1970.
    pub(crate) resets_at: u64,
}

/// The state of a lease that a call tells the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The unit of the budget, where it is known.
    pub(crate) unit: Option<Unit>,
    /// The rest of the slice.
    pub(crate) free: u64,
    /// The id; empty where there is none yet.
    pub(crate) lease: String,
    pub(crate) spent: u64,
    pub(crate) returned: u64,
    pub(crate) nonce: [u8; 16],
    pub(crate) call: u64,
    pub(crate) at: Moment,
}

/// The answer of the registry for one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The lease; `None` where the subject has no budget.
    pub(crate) lease: Option<Lease>,
    pub(crate) expires_in: std::time::Duration,
}

/// A lease, as the registry tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: String,
    pub(crate) unit: Unit,
    pub(crate) limit: u64,
    pub(crate) granted: u64,
    pub(crate) remaining: u64,
    /// The end of the window, in seconds since 1970.
    pub(crate) resets_at: u64,
}

impl Slice {
    pub(super) fn new(nonce: [u8; 16]) -> Self {
        Self { nonce, ..Self::default() }
    }

    /// Reserves the amount of a request.
    pub(super) fn reserve(&mut self, subject: &Digest, amount: &Amount, now: Moment) -> Reserved {
        if !self.is_valid(now) {
            return Reserved::Missing;
        }
        let Some(unit) = self.unit else { return Reserved::Unlimited };
        let Some(amount) = amount.of(unit) else { return Reserved::Unpriced };
        self.turn(now);
        if amount > self.free() {
            // A registry that was just asked granted what it has.
            let is_known = now.is_within(RECENT, Moment(self.numbers.granted_at));
            let standing = self.standing(unit);
            return if !is_known || standing.left >= amount {
                Reserved::Short
            } else if standing.left.saturating_add(self.held()) < amount {
                Reserved::Spent(standing)
            } else {
                Reserved::Busy
            };
        }
        self.numbers.held = self.numbers.held.saturating_add(amount);
        let (lease, epoch) = (self.tag(), self.numbers.epoch);
        Reserved::Held(Reservation { subject: *subject, unit, amount, lease, epoch })
    }

    /// Charges what a request has cost, and ends its reservation.
    pub(super) fn settle(&mut self, reservation: &Reservation, actual: &Amount, now: Moment) {
        self.turn(now);
        let is_own = reservation.lease == self.tag();
        let numbers = &mut self.numbers;
        if is_own {
            let held = match numbers.epoch.checked_sub(reservation.epoch) {
                None | Some(0) => Some(&mut numbers.held),
                Some(1) => Some(&mut numbers.held_before),
                Some(_) => None,
            };
            if let Some(held) = held {
                *held = held.saturating_sub(reservation.amount);
            }
        }
        // An unpriced request was let through, and costs nothing that is known.
        let spent = self.unit.and_then(|unit| actual.of(unit)).unwrap_or(0);
        numbers.spent = numbers.spent.saturating_add(spent);
        if spent > 0 && numbers.unreported == 0 {
            numbers.unreported = now.0;
        }
    }

    /// Begins a call, and returns what it tells the registry.
    pub(super) fn begin(&mut self, nonce: [u8; 16], now: Moment) -> Told {
        if self.nonce == [0; 16] {
            self.nonce = nonce;
        }
        let free = if self.is_valid(now) { self.free() } else { 0 };
        let numbers = &mut self.numbers;
        numbers.calls = numbers.calls.wrapping_add(1);
        numbers.asked_at = now.0;
        numbers.unreported = 0;
        let (spent, returned) =
            if self.lease.is_empty() { (0, 0) } else { (numbers.spent, numbers.returned) };
        Told {
            unit: self.unit,
            free,
            lease: self.lease.clone(),
            spent,
            returned,
            nonce: self.nonce,
            call: numbers.calls,
            at: now,
        }
    }

    /// Takes in the answer to a call.
    pub(super) fn grant(&mut self, told: &Told, granted: &Granted, now: Moment) {
        let id = granted.lease.as_ref().map_or("", |lease| lease.id.as_str());
        let is_same = id == self.lease && !id.is_empty();
        // Only the last call knows all that was told of a lease, so only its answer ends the lease.
        let is_next = told.lease == self.lease && (told.lease.is_empty() || told.call == self.numbers.calls);
        if !is_same && !is_next {
            return;
        }
        if told.lease == self.lease && !told.lease.is_empty() {
            self.numbers.told = self.numbers.told.max(told.spent);
        }
        if !is_same {
            self.replace(told, granted.lease.as_ref(), now);
        }
        let numbers = &mut self.numbers;
        if let Some(lease) = &granted.lease {
            numbers.granted = numbers.granted.max(lease.granted);
        }
        if is_same && told.call <= numbers.answered {
            return;
        }
        numbers.answered = numbers.answered.max(told.call);
        numbers.granted_at = told.at.0;
        numbers.expires_at = told.at.after(granted.expires_in).0;
        if let Some(lease) = &granted.lease {
            let gone = if is_same { told.spent.saturating_add(told.returned) } else { 0 };
            numbers.limit = lease.limit;
            numbers.resets_at = lease.resets_at;
            numbers.more = lease.remaining.saturating_sub(lease.granted.saturating_sub(gone));
            numbers.size = numbers.granted.saturating_sub(numbers.spent.saturating_add(numbers.returned));
        }
    }

    /// Notes that a call has failed: what it was to tell is told by the next one.
    pub(super) fn fail(&mut self, told: &Told, now: Moment) {
        let numbers = &mut self.numbers;
        numbers.answered = numbers.answered.max(told.call);
        if numbers.spent > numbers.told && numbers.unreported == 0 {
            numbers.unreported = now.0;
        }
    }

    /// Gives the rest back, unless a request holds a part of the slice. Tells whether there was a rest.
    pub(super) fn give_back(&mut self, now: Moment) -> bool {
        self.turn(now);
        let rest = self.free();
        if self.held() > 0 || rest == 0 || !self.is_valid(now) {
            return false;
        }
        self.numbers.returned = self.numbers.returned.saturating_add(rest);
        self.numbers.more = self.numbers.more.saturating_add(rest);
        true
    }

    /// Tells whether the registry is to be called, though no request waits for it. Spending is gathered for `gathering`.
    pub(super) fn is_due(&mut self, gathering: std::time::Duration, now: Moment) -> bool {
        self.turn(now);
        let numbers = &self.numbers;
        let since = |at: u64| !now.is_within(gathering, Moment(at));
        if self.is_pending(now) || !since(numbers.asked_at) {
            return false;
        }
        let is_used = self.held() > 0 || numbers.spent > numbers.told;
        let half = numbers.expires_at.saturating_sub(numbers.granted_at) / 2;
        let is_half_over = now.0 >= numbers.granted_at.saturating_add(half);
        let is_low = self.free() <= numbers.size / 4 && numbers.more > 0;
        let is_unreported =
            numbers.spent > numbers.told && (numbers.unreported == 0 || since(numbers.unreported));
        is_unreported || (is_used && (is_half_over || is_low))
    }

    /// Tells whether the registry has not confirmed all that was spent.
    pub(super) fn is_untold(&self) -> bool {
        self.numbers.spent > self.numbers.told
    }

    /// Tells whether the slice may be forgotten: nothing is reserved in it, and all was told.
    pub(super) fn is_spare(&mut self, now: Moment) -> bool {
        self.turn(now);
        let numbers = &self.numbers;
        self.held() == 0 && numbers.spent == numbers.told && !self.is_valid(now) && !self.is_pending(now)
    }

    /// Returns the state of the budget; `None` where there is none or it is not known.
    pub(super) fn state(&mut self, now: Moment) -> Option<Standing> {
        self.turn(now);
        self.unit.filter(|_| self.is_valid(now)).map(|unit| self.standing(unit))
    }

    /// Begins another lease, or the time without one.
    fn replace(&mut self, told: &Told, lease: Option<&Lease>, now: Moment) {
        let carried = self.numbers.spent.saturating_sub(told.spent);
        // Spending in another unit cannot be carried.
        let carried =
            lease.filter(|lease| self.unit.is_none_or(|unit| unit == lease.unit)).map_or(0, |_| carried);
        self.numbers = Numbers {
            spent: carried,
            calls: self.numbers.calls,
            answered: self.numbers.answered,
            asked_at: self.numbers.asked_at,
            unreported: if carried > 0 { now.0 } else { 0 },
            ..Numbers::default()
        };
        self.unit = lease.map(|lease| lease.unit);
        self.lease = lease.map(|lease| lease.id.clone()).unwrap_or_default();
    }

    /// Moves reservations that are an epoch old, and drops those that are older: their requests were lost.
    fn turn(&mut self, now: Moment) {
        let all = self.held();
        let numbers = &mut self.numbers;
        let epoch = now.0 / 1_000_000_000 / EPOCH_SECONDS;
        match epoch.checked_sub(numbers.epoch) {
            Some(0) => {}
            Some(1) => (numbers.held_before, numbers.held) = (numbers.held, 0),
            Some(_) => (numbers.held_before, numbers.held) = (0, 0),
            // The clock was put back.
            None => (numbers.held_before, numbers.held) = (0, all),
        }
        numbers.epoch = epoch;
    }

    fn is_valid(&self, now: Moment) -> bool {
        let numbers = &self.numbers;
        let is_of_budget = !self.lease.is_empty() && now.0 / 1_000_000_000 < numbers.resets_at;
        let is_without = self.lease.is_empty() && self.unit.is_none();
        (is_of_budget || is_without)
            && now.after(CLOCK_SKEW).0 >= numbers.granted_at
            && now.0 < numbers.expires_at
    }

    fn is_pending(&self, now: Moment) -> bool {
        self.numbers.calls != self.numbers.answered
            && now.is_within(LOST_AFTER, Moment(self.numbers.asked_at))
    }

    fn standing(&self, unit: Unit) -> Standing {
        let Numbers { limit, more, resets_at, .. } = self.numbers;
        Standing { unit, limit, left: self.free().saturating_add(more), resets_at }
    }

    fn held(&self) -> u64 {
        self.numbers.held.saturating_add(self.numbers.held_before)
    }

    fn free(&self) -> u64 {
        let Numbers { granted, spent, returned, .. } = self.numbers;
        granted.saturating_sub(spent.saturating_add(returned).saturating_add(self.held()))
    }

    fn tag(&self) -> Digest {
        Digest::of(self.lease.as_bytes())
    }
}
