//! The charge for a logged request under another policy: its cost at the prices there, and the budgets that it takes from.

use super::logged::{LoggedRequest, ReplayCharge};
use super::records::Records;
use crate::judge::body::subjects;
use crate::judge::engine::Engine;
use crate::limit::{Budget, Unit};
use crate::price::{Counts, Price};
use crate::provider::model::provider_ids;

impl Engine {
    /// Returns whether a request whose cost cannot be known is refused.
    pub(super) fn refuses_unpriced(&self) -> bool {
        self.policy.budgets.as_ref().is_some_and(|budgets| !budgets.allows_unpriced)
    }

    /// Returns whether the other policy refuses a request because a budget counts money and the model has no price.
    pub(super) fn refuses_price(
        &self,
        logged: &LoggedRequest<'_>,
        provider: &str,
        other: &Self,
        records: &Records,
    ) -> bool {
        let counts_money = || {
            let budgets = other.budgets(records).unwrap_or_default();
            budgets.iter().any(|(_, budget)| budget.unit == Unit::Usd)
        };
        other.refuses_unpriced() && self.is_unpriced(logged, provider, other) && counts_money()
    }

    /// Returns the charge for a request under the other policy, which sends it to `provider`.
    pub(super) fn charge(
        &self,
        logged: &LoggedRequest<'_>,
        provider: &str,
        other: &Self,
        records: &Records,
    ) -> ReplayCharge {
        let sums = logged.input.zip(logged.output);
        let (before, after) = (self.price(logged, logged.provider), other.price(logged, provider));
        let is_same = before == after;
        let estimate = after
            .zip(sums)
            .map(|(price, (input, output))| price.cost(&Counts { input, output, ..Counts::default() }, None));
        let cost = if is_same { logged.cost } else { estimate };
        ReplayCharge {
            tokens: sums.map(|(input, output)| input.saturating_add(output)),
            cost,
            is_estimate: cost.is_some() && !is_same,
            is_unpriced: self.is_unpriced(logged, provider, other),
            budgets: other.budgets(records),
        }
    }

    fn budgets(&self, records: &Records) -> Option<Vec<(String, Budget)>> {
        if self.policy.budgets.is_none() {
            return Some(Vec::new());
        }
        let record = records.after.as_ref().filter(|_| !records.of_registry)?;
        let subjects = subjects(&self.policy, record).into_iter();
        Some(subjects.filter_map(|(_, subject)| subject.into_default()).collect())
    }

    fn is_unpriced(&self, logged: &LoggedRequest<'_>, provider: &str, other: &Self) -> bool {
        match logged.known_model() {
            Some(model) => other.prices(provider, model).is_empty(),
            // The name of the model is not known: only the same prices have none for it either.
            None => {
                logged.has_other_model()
                    && provider == logged.provider
                    && self.policy.prices == other.policy.prices
            }
        }
    }

    /// Returns the price of a request's model, `None` where there is none, or which one is not certain.
    fn price(&self, logged: &LoggedRequest<'_>, provider: &str) -> Option<Price> {
        let mut prices = self.prices(provider, logged.known_model()?).into_iter();
        let price = prices.next()?;
        prices.all(|another| another == price).then_some(price)
    }

    /// Returns the prices that a model can have. The log leaves out the provider in front of a model's name, so each is
    /// tried where the name alone has no price.
    fn prices(&self, provider: &str, model: &str) -> Vec<Price> {
        let price = |name: &str| self.policy.prices.find(provider, name).map(|found| found.price);
        match price(model) {
            Some(price) => vec![price],
            None => provider_ids().filter_map(|id| price(&format!("{id}/{model}"))).collect(),
        }
    }
}
