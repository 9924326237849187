//! The metering and the budgets of a policy as a whole.

use super::budgets::MeteringPolicy;
use super::document::Policy;
use super::reader::Errors;
use crate::base::Digest;
use crate::identity::jwt::{IssuerRule, has_rules};

impl Policy {
    /// Returns the metering; `None` where no answer is read.
    pub(crate) fn metering(&self) -> Option<MeteringPolicy> {
        self.metering.or_else(|| self.budgets.as_ref().map(|_| MeteringPolicy::default()))
    }

    /// Returns the time zones of budgets, each with its place in the document.
    pub fn timezones(&self) -> Vec<(String, &str)> {
        let Some(rules) = &self.budgets else { return Vec::new() };
        let common = [("token", &rules.token), ("owner", &rules.owner), ("team", &rules.team)];
        let common = common.into_iter().filter_map(|(name, budget)| {
            Some((format!("budgets.{name}.timezone"), budget.as_ref()?.timezone.as_str()))
        });
        let own = |digest: &Digest| rules.own.get(digest).map(|budget| budget.timezone.as_str());
        let tokens = self.tokens.iter().enumerate().filter_map(|(index, token)| {
            Some((format!("tokens[{index}].budget.timezone"), own(&token.digest)?))
        });
        let people =
            self.people.values().filter_map(|person| Some(("principals".to_owned(), own(&person.digest)?)));
        let rules = self.rights().flat_map(|(place, rights)| {
            let field = if has_rules(rights) { "rules" } else { "budget.timezone" };
            rights.iter().filter_map(zone_of).map(move |zone| (format!("{place}.{field}"), zone))
        });
        common.chain(tokens).chain(people).chain(rules).collect()
    }

    /// Checks that there is a registry that keeps the budgets.
    pub(super) fn check_budgets(&self, errors: &Errors) {
        if self.budgets.is_some() && !self.has_limit_store() {
            errors.add("budgets", "there is no `registry` that keeps budgets: `keyswap serve` does");
        }
    }
}

/// Returns the time zone of a rule's budget.
fn zone_of(rule: &IssuerRule) -> Option<&str> {
    rule.budget().map(|budget| budget.timezone.as_str())
}
