//! The rules that the meters of a policy follow, and the budgets that a caller takes from.

use std::rc::Rc;
use std::sync::Arc;

use crate::host::Capabilities;
use crate::identity::CallerRecord;
use crate::limit::{Budget, BudgetRules, TokenLimit};
use crate::policy::{Policy, WhenLeft};
use crate::price::Prices;
use crate::services::registry::{BudgetSubject, Registry};

/// The rules of a policy that its meters follow.
#[allow(clippy::struct_excessive_bools, reason = "facts that have nothing to do with each other")]
pub(crate) struct MeterRules {
    pub(super) prices: Arc<Prices>,
    pub(super) registry: Option<Rc<Registry>>,
    pub(super) budgets: bool,
    pub(super) allows_unpriced: bool,
    pub(super) failure_mode_allow: bool,
    pub(super) default_output: u64,
    pub(super) when_left: WhenLeft,
    /// Set where tokens can be counted in memory that all workers share.
    pub(super) counts_tokens: bool,
    /// Set where requests pass whose tokens cannot be counted.
    pub(super) passes_uncounted: bool,
}

impl MeterRules {
    /// Returns the rules of a policy.
    pub(crate) fn of(policy: &Policy, registry: Option<&Rc<Registry>>, host: Capabilities) -> Self {
        let budgets = policy.budgets.as_ref();
        let default_output = |budgets: &BudgetRules| budgets.default_output;
        Self {
            prices: Arc::clone(&policy.prices),
            registry: registry.cloned(),
            budgets: budgets.is_some(),
            allows_unpriced: budgets.is_none_or(|budgets| budgets.allows_unpriced),
            failure_mode_allow: budgets.is_none_or(|budgets| budgets.failure_mode_allow),
            default_output: budgets.map_or_else(|| default_output(&BudgetRules::default()), default_output),
            when_left: policy.metering().unwrap_or_default().when_left,
            counts_tokens: host.shared_memory,
            passes_uncounted: policy.rate_limit.is_some_and(|rule| rule.failure_mode_allow),
        }
    }

    /// Returns whether a request is refused whose body cannot be read: its cost would not be known.
    pub(crate) fn is_strict(&self, limit: Option<TokenLimit>) -> bool {
        (self.budgets && !self.allows_unpriced) || (limit.is_some() && !self.passes_uncounted)
    }
}

/// Returns the subjects whose budgets a caller takes from, each with its kind.
pub(crate) fn subjects(policy: &Policy, record: &CallerRecord) -> Vec<(&'static str, BudgetSubject)> {
    let Some(rules) = &policy.budgets else { return Vec::new() };
    let default = |budget: Option<&Budget>| budget.cloned();
    let token = BudgetSubject::token(&record.digest, default(rules.of_token(record)));
    let owner =
        record.owner.as_deref().map(|owner| BudgetSubject::owner(owner, default(rules.owner.as_ref())));
    let team = record.team.as_deref().map(|team| BudgetSubject::team(team, default(rules.team.as_ref())));
    let subjects = [("token", Some(token)), ("owner", owner), ("team", team)];
    subjects.into_iter().filter_map(|(kind, subject)| Some((kind, subject?))).collect()
}
