//! Leases: the part of a budget's window that one data plane may spend without asking.

use super::amount::{Unit, add};
use super::budget::{Budget, Payer};
use super::window::Window;
use keyswap_core::base::UnixTime;

/// The time after which a lease that is not renewed gives back what it has not spent.
pub(in crate::registry) const LIFETIME_SECONDS: i64 = 60;

/// Returns true for 32 lower-case hexadecimal digits: an id that a data plane made to be unique.
pub(in crate::registry) fn is_unique_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A data plane's request for one subject.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// The subject.
    pub subject: Payer,
    /// The lease that the data plane holds.
    pub id: Option<String>,
    /// The value by which equal first requests are known: workers that ask at the same time get the same lease.
    pub nonce: Option<String>,
    /// All that was spent from this lease since it began.
    pub spent: i64,
    /// All that was granted to this lease and given back since it began.
    pub returned: i64,
    /// The amount that is needed on top of what was granted. With 0 the registry grants what is usual, or nothing to a lease
    /// that gives back.
    pub need: i64,
    /// The policy's budget for the subject. The registry's own goes first.
    pub budget: Option<Budget>,
}

/// The answer for one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The lease, `None` for a subject without a budget.
    pub id: Option<String>,
    /// The unit of the numbers, `None` for a subject without a budget.
    pub unit: Option<Unit>,
    /// The numbers of the lease, `None` for a subject without a budget.
    pub state: Option<LeaseState>,
    /// Seconds until the lease gives back its rest. It has to be renewed before.
    pub expires_in: i64,
}

/// The numbers of a lease: nano-dollars or tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseState {
    /// The budget's amount.
    pub limit: i64,
    /// All that was granted to this lease since it began.
    pub granted: i64,
    /// The part of the window that is neither spent nor leased to others: this lease's rest is in it.
    pub remaining: i64,
    /// The end of the window, at which a new lease begins.
    pub resets_at: UnixTime,
}

/// A lease as it is stored.
#[derive(Clone, Debug)]
pub(in crate::registry) struct Lease {
    pub(in crate::registry) id: String,
    pub(in crate::registry) unit: Unit,
    pub(in crate::registry) window: Window,
    pub(in crate::registry) node: String,
    pub(in crate::registry) granted: i64,
    pub(in crate::registry) spent: i64,
    pub(in crate::registry) returned: i64,
    pub(in crate::registry) expires_at: UnixTime,
    /// The value of the first request, empty without one.
    pub(in crate::registry) nonce: String,
    /// The lease that took the place of this one, after its end.
    pub(in crate::registry) successor: Option<String>,
}

impl Lease {
    pub(in crate::registry) fn is_live(&self, now: UnixTime) -> bool {
        now < self.expires_at
    }

    /// Returns the part of the window that is not free because of this lease.
    pub(in crate::registry) fn used(&self, now: UnixTime) -> i64 {
        if self.is_live(now) { self.held() } else { self.spent }
    }

    /// Returns what the lease holds while it lives. More may be spent than was granted, by requests in flight.
    pub(in crate::registry) fn held(&self) -> i64 {
        self.granted.saturating_sub(self.returned).max(self.spent)
    }
}

/// The state of a window without the asking data plane's lease.
#[derive(Clone, Copy, Debug)]
pub(in crate::registry) struct Room {
    pub(in crate::registry) limit: i64,
    /// The part that is spent, or leased to others.
    pub(in crate::registry) used: i64,
}

impl Room {
    /// Returns the room beside the lease with the id `but`.
    pub(in crate::registry) fn beside(
        but: Option<&str>,
        limit: i64,
        settled: i64,
        leases: &[Lease],
        now: UnixTime,
    ) -> Self {
        let others = leases.iter().filter(|lease| Some(lease.id.as_str()) != but);
        Self { limit, used: others.fold(settled, |sum, lease| add(sum, lease.used(now))) }
    }

    /// Returns the free part beside a lease that holds `held`.
    pub(in crate::registry) fn free(self, held: i64) -> i64 {
        self.limit.saturating_sub(add(self.used, held)).max(0)
    }

    /// Returns true if a lease that holds `held` fits into the window.
    pub(in crate::registry) fn fits(self, held: i64) -> bool {
        add(self.used, held) <= self.limit
    }

    /// Returns the slice to grant to a lease: so much that its rest is an eighth of all that is not spent or leased to
    /// others, at least the need, at most all that is free. So several data planes share a window, and its end is shared in
    /// small parts.
    pub(in crate::registry) fn slice(self, lease: &Lease, need: i64) -> i64 {
        let free = self.free(lease.held());
        let rest = lease.held().saturating_sub(lease.spent);
        let usual = (add(free, rest) / 8).saturating_sub(rest);
        // A data plane that gives back keeps no slice in store.
        let usual = if lease.returned > 0 { 0 } else { usual };
        usual.max(need).clamp(0, free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_makes_an_eighth_at_least_the_need_and_at_most_what_is_free() {
        for (limit, used, granted, spent, returned, need, slice) in [
            (800, 0, 0, 0, 0, 0, 100),
            (800, 0, 0, 0, 0, 1, 100),
            (800, 0, 0, 0, 0, 300, 300),
            (800, 0, 100, 0, 0, 0, 0),
            (800, 0, 100, 0, 0, 7, 7),
            (800, 0, 100, 100, 0, 0, 87),
            (800, 600, 100, 100, 0, 1, 12),
            (800, 600, 100, 0, 0, 1000, 100),
            (800, 600, 300, 300, 0, 1, 0),
            (800, 0, 100, 900, 0, 1, 0),
            (800, 0, 100, 30, 70, 0, 0),
            (800, 0, 100, 30, 70, 20, 20),
            (800, 600, 100, 30, 70, 1000, 170),
            (5, 0, 0, 0, 0, 1, 1),
            (5, 0, 0, 0, 0, 0, 0),
            (800, i64::MAX, i64::MAX, i64::MAX, 0, i64::MAX, 0),
        ] {
            let window = Window { starts_at: UnixTime(0), ends_at: UnixTime(1) };
            let lease = Lease {
                id: String::new(),
                unit: Unit::Usd,
                window,
                node: String::new(),
                granted,
                spent,
                returned,
                expires_at: UnixTime(0),
                nonce: String::new(),
                successor: None,
            };
            assert_eq!(
                Room { limit, used }.slice(&lease, need),
                slice,
                "{limit} {used} {granted} {spent} {returned} {need}"
            );
        }
    }
}
