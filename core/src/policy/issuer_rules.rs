//! The rights of an issuer's subjects in a policy: for all of them, or by `rules` on their claims.

use std::sync::Arc;

use super::budgets::read_budget;
use super::models;
use super::preset::{read_claim_name, read_conditions};
use super::rate_limit;
use super::reader::{Fields, Node};
use super::tokens::{WhyNot, read_scope, read_text};
use crate::identity::jwt::{Conditions, Given, IssuerRule, MAX_LABEL_CHARS};
use crate::identity::{ModelGroups, Models, Scope};
use crate::limit::{Budget, CallerLimit};

/// The most rules of an issuer.
const MAX_RULES: usize = 256;

/// The rights that an issuer or one of its rules names.
pub(super) struct Rights {
    scope: Option<Scope>,
    models: Option<Models>,
    rate_limit: Option<CallerLimit>,
    budget: Option<Budget>,
    team: Option<Given>,
    label: Option<Given>,
    /// Set where every member could be read. One that could not is an error, never a default.
    is_whole: bool,
}

impl Rights {
    pub(super) fn read(fields: &mut Fields<'_>, why_not: &WhyNot<'_>, groups: &ModelGroups) -> Self {
        let scope = fields.optional("providers").map(|node| read_scope(&node, why_not));
        let models = fields.optional("models").map(|node| models::read(&node, groups));
        let mut is_whole = true;
        Self {
            scope,
            models,
            rate_limit: member(fields, "rate_limit", &mut is_whole, rate_limit::read_limit),
            budget: member(fields, "budget", &mut is_whole, read_budget),
            team: member(fields, "team", &mut is_whole, |node| read_given(node, || node.name())),
            label: member(fields, "label", &mut is_whole, |node| {
                read_given(node, || read_text(node, MAX_LABEL_CHARS))
            }),
            is_whole,
        }
    }

    /// Makes the rule of an issuer without rules; `None` where a member could not be read.
    pub(super) fn for_all(self) -> Option<IssuerRule> {
        self.is_whole.then(|| IssuerRule {
            when: [].into(),
            scope: self.scope,
            models: self.models.unwrap_or_else(Models::all),
            rate_limit: self.rate_limit,
            budget: self.budget.map(Arc::new),
            team: self.team,
            label: self.label,
        })
    }

    /// Makes a rule with these conditions, which has what the issuer has unless it says otherwise; `None` where a member could
    /// not be read.
    fn under(self, when: Conditions, issuer: &IssuerRule) -> Option<IssuerRule> {
        let issuer = issuer.clone();
        self.is_whole.then(|| IssuerRule {
            when,
            scope: self.scope.or(issuer.scope),
            models: self.models.unwrap_or(issuer.models),
            rate_limit: self.rate_limit.or(issuer.rate_limit),
            budget: self.budget.map(Arc::new).or(issuer.budget),
            team: self.team.or(issuer.team),
            label: self.label.or(issuer.label),
        })
    }
}

/// Reads a member that may be left out, and notes where it could not be read.
fn member<T>(
    fields: &mut Fields<'_>,
    name: &'static str,
    is_whole: &mut bool,
    read: impl Fn(&Node<'_>) -> Option<T>,
) -> Option<T> {
    let value = read(&fields.optional(name)?);
    *is_whole &= value.is_some();
    value
}

/// Reads the list `rules`. What a rule leaves out is as the issuer has it.
pub(super) fn read(
    node: &Node<'_>,
    issuer: &IssuerRule,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
) -> Vec<IssuerRule> {
    let items = node.items();
    let rules: Vec<IssuerRule> =
        items.iter().filter_map(|item| read_rule(item, issuer, why_not, groups)).collect();
    if items.is_empty() || items.len() > MAX_RULES {
        node.fail(format!("expected 1 to {MAX_RULES} rules"));
    }
    let is_for_all = |rule: &IssuerRule| rule.when.is_empty() && !matches!(rule.team, Some(Given::Claim(_)));
    let others = rules.len().saturating_sub(1);
    if rules.len() == items.len()
        && let Some(first) = rules.iter().take(others).position(is_for_all)
        && let Some(item) = items.get(first)
    {
        item.fail("the rule is for every token, so that no rule behind it is reached: put it last");
    }
    rules
}

fn read_rule(
    node: &Node<'_>,
    issuer: &IssuerRule,
    why_not: &WhyNot<'_>,
    groups: &ModelGroups,
) -> Option<IssuerRule> {
    let mut fields = node.fields()?;
    let when = fields.optional("when").map(|node| read_conditions(&node)).unwrap_or_default();
    let rights = Rights::read(&mut fields, why_not, groups);
    fields.finish();
    rights.under(when, issuer)
}

/// Reads a name, or the claim that has it.
fn read_given(node: &Node<'_>, read_name: impl FnOnce() -> Option<String>) -> Option<Given> {
    if !node.value().is_object() {
        return read_name().map(Given::Name);
    }
    let mut fields = node.fields()?;
    let claim = fields.required("claim").and_then(|node| read_claim_name(&node).map(str::to_owned));
    fields.finish();
    claim.map(Given::Claim)
}
