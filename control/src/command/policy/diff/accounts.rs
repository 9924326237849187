//! The budgets of a policy, charged with logged requests in the order of their times.
//!
//! A request is refused once its cost is more than what is left of a budget. The engine refuses earlier: it reserves the
//! most that a request can cost. The amounts that a registry has set, and what was spent before the log began, are not
//! known here.

use std::collections::BTreeMap;

use keyswap_core::base::UnixTime;
use keyswap_core::judge::ReplayCharge;
use keyswap_core::limit::{Budget, Period, Unit};

use crate::registry::{Per, Window, Zone};

/// The most requests that wait to be put in order. Envoy writes a line when a request ends, so a request waits while as
/// many others end.
const MAX_WAITING: usize = 1 << 14;

/// Requests on their way into the order of their times.
pub(super) struct Waiting<T> {
    requests: BTreeMap<(UnixTime, u64), T>,
    number: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { requests: BTreeMap::new(), number: 0 }
    }
}

impl<T> Waiting<T> {
    /// Takes a request. Returns the one that has waited long enough.
    pub(super) fn put(&mut self, at: UnixTime, request: T) -> Option<T> {
        self.number += 1;
        self.requests.insert((at, self.number), request);
        if self.requests.len() > MAX_WAITING { self.next() } else { None }
    }

    /// Takes the earliest request.
    pub(super) fn next(&mut self) -> Option<T> {
        self.requests.pop_first().map(|(_, request)| request)
    }
}

/// The outcome of charging a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charging {
    /// Every budget had enough.
    Counted,
    /// A budget is spent.
    Refused,
    /// A budget cannot be charged.
    NotCounted(NotCounted),
}

/// The reason for which a request is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NotCounted {
    /// The registry has the record of the caller, and may have a budget.
    Registry,
    /// The log does not tell the cost, or the tokens.
    Usage,
    /// The request is older than a window that had begun before it.
    Late,
}

impl NotCounted {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Usage => "usage",
            Self::Late => "late",
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Registry => "of a principal whose record is in the registry",
            Self::Usage => "without tokens or cost in the log",
            Self::Late => "too far behind the order of their times",
        }
    }
}

/// The amounts that are spent in the present window of each subject.
#[derive(Default)]
pub(super) struct Accounts(BTreeMap<String, Account>);

struct Account {
    window: Window,
    spent: u64,
}

impl Accounts {
    /// Charges every budget of a request, or none.
    pub(super) fn charge(&mut self, at: UnixTime, charge: &ReplayCharge) -> Charging {
        let Some(budgets) = &charge.budgets else { return Charging::NotCounted(NotCounted::Registry) };
        let mut amounts = Vec::new();
        for (subject, budget) in budgets {
            let amount = match budget.unit {
                Unit::Usd => charge.cost.map(|cost| cost.0),
                Unit::Tokens => charge.tokens,
            };
            match amount {
                Some(amount) => amounts.push((subject, budget, amount)),
                // The policy lets it pass, else it would have been refused before.
                None if charge.is_unpriced && budget.unit == Unit::Usd => {}
                None => return Charging::NotCounted(NotCounted::Usage),
            }
        }
        for (subject, budget, amount) in &amounts {
            let Some(account) = self.account(subject, budget, at) else {
                return Charging::NotCounted(NotCounted::Late);
            };
            if account.spent.saturating_add(*amount) > budget.amount {
                return Charging::Refused;
            }
        }
        for (subject, budget, amount) in amounts {
            if let Some(account) = self.account(subject, budget, at) {
                account.spent = account.spent.saturating_add(amount);
            }
        }
        Charging::Counted
    }

    /// Returns the account of the window that a moment lies in; `None` where a later window has begun.
    fn account(&mut self, subject: &str, budget: &Budget, at: UnixTime) -> Option<&mut Account> {
        let known = self.0.get(subject).map(|account| account.window);
        if known.is_none_or(|window| at >= window.ends_at) {
            let account = Account { window: window(budget, at), spent: 0 };
            self.0.insert(subject.to_owned(), account);
        }
        self.0.get_mut(subject).filter(|account| account.window.contains(at))
    }
}

fn window(budget: &Budget, at: UnixTime) -> Window {
    let per = match budget.per {
        Period::Hour => Per::Hour,
        Period::Day => Per::Day,
        Period::Week => Per::Week,
        Period::Month => Per::Month,
    };
    Window::of(at, per, &Zone::parse(&budget.timezone).unwrap_or_default())
}
