//! Rate limits, counted per token, and slices of budgets: for all workers of a process, or at the registry for all data
//! planes.

mod amount;
mod bucket;
mod budget;
mod counted;
mod gcra;
mod rule;
mod slice;
#[cfg(test)]
mod slice_model;
mod slice_slot;
mod slices;
mod token_limit;
mod tokens;
mod tokens_level;
mod tokens_slot;

pub use self::amount::{Amount, Unit};
pub(crate) use self::budget::BudgetRules;
pub use self::budget::{Budget, MAX_BUDGET_TOKENS, MAX_BUDGET_USD, Period};
pub(crate) use self::counted::{Counted, take};
pub use self::gcra::{Gcra, Taken};
pub use self::rule::{CallerLimit, RateLimit};
pub(crate) use self::rule::{InForce, LimitStore, Rule};
pub(crate) use self::slice::{Granted, Lease, Reservation, Reserved, Standing, Told};
pub(crate) use self::slices::{
    begin, begin_due, begin_return, fail, grant, is_untold, lacks, reserve, settle, standing,
};
pub use self::token_limit::TokenLimit;
pub(crate) use self::tokens::{Hold, reserve_tokens, settle_tokens, tokens_left};
pub use self::tokens_level::TokensTaken;
