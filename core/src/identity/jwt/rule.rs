//! The rules of an issuer: what its subjects get, by their claims. The first rule that fits decides.

use std::sync::Arc;

use super::claims::{ClaimValue, Claims};
use crate::identity::{Models, Scope};
use crate::limit::{Budget, CallerLimit};
use crate::syntax::{is_line, is_plain_name};

/// The longest label, in characters: as long as that of a token in a policy.
pub(crate) const MAX_LABEL_CHARS: usize = 64;

/// Claims that must have one of these values, by name or JSON pointer.
pub(crate) type Conditions = Arc<[(String, Vec<ClaimValue>)]>;

/// The rights of the subjects whose claims fit. An issuer whose policy has no rules has one that fits every subject.
#[derive(Clone, Debug)]
pub struct IssuerRule {
    /// The conditions; none is for every token.
    pub(crate) when: Conditions,
    pub(crate) scope: Option<Scope>,
    pub(crate) models: Models,
    pub(crate) rate_limit: Option<CallerLimit>,
    /// The budget of each subject that has none of its own.
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) team: Option<Given>,
    pub(crate) label: Option<Given>,
}

/// A name that the subjects of a rule get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The name in the policy.
    Name(String),
    /// The text of a claim, by name or JSON pointer.
    Claim(String),
}

/// The rule that fits the claims of a token, and the names that it gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The place of the rule; `None` where none fits.
    pub(crate) rule: Option<usize>,
    /// For each rule before it, the place of the condition that does not hold.
    pub(crate) missed: Vec<usize>,
    pub(crate) team: Option<String>,
    pub(crate) label: Option<String>,
}

impl Chosen {
    /// Finds the first rule that fits.
    pub(crate) fn of(rules: &[IssuerRule], claims: &Claims) -> Self {
        let mut missed = Vec::new();
        for (place, rule) in rules.iter().enumerate() {
            match rule.judge(claims) {
                Ok((team, label)) => return Self { rule: Some(place), missed, team, label },
                Err(condition) => missed.push(condition),
            }
        }
        Self { missed, ..Self::default() }
    }
}

impl IssuerRule {
    /// Returns the scope of the subjects; `None` where only their own records narrow it.
    pub fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    /// Returns the models that the subjects may use.
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Returns the rate limit of the subjects that have none of their own.
    pub(crate) fn rate_limit(&self) -> Option<CallerLimit> {
        self.rate_limit
    }

    /// Returns the budget of each subject that has none of its own.
    pub(crate) fn budget(&self) -> Option<&Arc<Budget>> {
        self.budget.as_ref()
    }

    /// Returns whether the subjects get a team.
    pub(crate) fn gives_team(&self) -> bool {
        self.team.is_some()
    }

    /// Returns the claim of a condition.
    pub(crate) fn claim(&self, condition: usize) -> &str {
        let given = match &self.team {
            Some(Given::Claim(name)) => name.as_str(),
            _ => "",
        };
        self.when.get(condition).map_or(given, |(name, _)| name)
    }

    /// Returns the names of team and label where the claims fit; otherwise the place of the condition that does not hold. A team
    /// that a claim gives is the last condition: without a name for it nobody would know whose budget to use.
    fn judge(&self, claims: &Claims) -> Result<(Option<String>, Option<String>), usize> {
        if let Some(condition) = claims.first_missing(&self.when) {
            return Err(condition);
        }
        let team = match &self.team {
            Some(Given::Claim(name)) => {
                let team = claims.text(name).filter(|team| is_plain_name(team));
                Some(team.ok_or(self.when.len())?.to_owned())
            }
            Some(Given::Name(name)) => Some(name.clone()),
            None => None,
        };
        let label = match &self.label {
            Some(Given::Claim(name)) => claims.text(name).filter(|label| is_line(label, MAX_LABEL_CHARS)),
            Some(Given::Name(name)) => Some(name.as_str()),
            None => None,
        };
        Ok((team, label.map(str::to_owned)))
    }
}

/// Returns whether rights depend on claims: those of a policy without rules are one rule without conditions.
pub(crate) fn has_rules(rights: &[IssuerRule]) -> bool {
    !matches!(rights, [rule] if rule.when.is_empty())
}
