//! Budgets as a policy says them: an amount in a calendar window of a time zone.
//!
//! The windows themselves are the registry's: it knows time zones, and all data planes.

use std::collections::BTreeMap;

use super::amount::Unit;
use crate::base::Digest;

/// The most dollars and the most tokens of a budget: as nano-dollars, either is exact in every reader of JSON.
pub const MAX_BUDGET_USD: u64 = 9_000_000;
/// The most tokens of a budget, which is exact in every reader of JSON.
pub const MAX_BUDGET_TOKENS: u64 = 9_000_000_000_000_000;

/// The span of a window, by the calendar. A week begins on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// An hour of the clock.
    Hour,
    /// A day.
    Day,
    /// A week from Monday.
    Week,
    /// A month.
    Month,
}

impl Period {
    /// Every period, with its name.
    pub const ALL: [(&'static str, Self); 4] =
        [("hour", Self::Hour), ("day", Self::Day), ("week", Self::Week), ("month", Self::Month)];

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The unit of the amount.
    pub unit: Unit,
    /// Nano-dollars or tokens.
    pub amount: u64,
    /// The span of a window.
    pub per: Period,
    /// The IANA name of the time zone whose calendar counts.
    pub timezone: String,
}

/// The budgets of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BudgetRules {
    /// The budget of each token and each person that has none of its own.
    pub(crate) token: Option<Budget>,
    /// The budget of each owner.
    pub(crate) owner: Option<Budget>,
    /// The budget of each team.
    pub(crate) team: Option<Budget>,
    /// The budgets of tokens and people with one of their own, by principal.
    pub(crate) own: BTreeMap<Digest, Budget>,
    /// Set where a request for a model without a price passes a budget of money.
    pub(crate) allows_unpriced: bool,
    /// Set where requests pass while the registry cannot be asked and the slice is used up.
    pub(crate) failure_mode_allow: bool,
    /// The output tokens that are reserved where the request names no limit. A price may allow less.
    pub(crate) default_output: u64,
}
