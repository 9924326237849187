//! The models that may compute the answer to one request, and what it costs with them.
//!
//! A request may name several: one as a fallback for another, one for a tool, one that the endpoint does not read. It is
//! known by the answer alone which of them computed. So the dearest counts, unless the answer names its model.

use std::rc::Rc;

use super::meter_rules::MeterRules;
use crate::body::Asked;
use crate::limit::Amount;
use crate::price::{Counts, Found, Nano, Origin, Price, Tier};

/// The models of one request, with the prices that they have at its provider.
pub(super) struct Pricing {
    rules: Rc<MeterRules>,
    provider: String,
    models: Vec<String>,
    /// Models that the body names beside the settled one: tools may ask them.
    beside: Vec<String>,
    /// Set where the target says which model computes, whatever the body says.
    is_settled: bool,
    /// The service tier that the request asks for.
    tier: Option<Tier>,
}

/// The output of a request that states no limit.
#[derive(Clone, Copy)]
pub(super) enum Unstated {
    /// The output that a policy takes for usual.
    Usual,
    /// The most that the model can put out.
    Most,
}

impl Pricing {
    pub(super) fn new(rules: &Rc<MeterRules>, provider: &str, models: &[String], is_settled: bool) -> Self {
        let (rules, provider) = (Rc::clone(rules), provider.to_owned());
        Self { rules, provider, models: models.to_vec(), beside: Vec::new(), is_settled, tier: None }
    }

    /// Notes what the body names.
    pub(super) fn note<'m>(&mut self, models: impl IntoIterator<Item = &'m str>, tier: Option<Tier>) {
        self.tier = tier;
        let known = if self.is_settled { &mut self.beside } else { &mut self.models };
        for model in models {
            if !known.iter().any(|own| own == model) {
                known.push(model.to_owned());
            }
        }
    }

    pub(super) fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the most that a request is taken to cost. The cost is `None` where the policy refuses what it has no price for,
    /// and a model has none.
    pub(super) fn most(&self, input: u64, asked: &Asked, unstated: Unstated) -> Amount {
        let output = |price: Option<&Price>| {
            let most = price.and_then(Price::max_output);
            let usual = self.rules.default_output;
            let unstated = match unstated {
                Unstated::Usual => usual,
                Unstated::Most => most.unwrap_or(usual),
            };
            // A member that the endpoint does not read limits nothing.
            let output = match asked.output {
                Some(output) if asked.is_limited => output,
                Some(output) => output.max(unstated),
                None => unstated,
            };
            most.map_or(output, |most| output.min(most)).saturating_mul(asked.count.max(1))
        };
        let found: Vec<_> = self.found().collect();
        let outputs = found.iter().map(|found| output(found.as_ref().map(|found| &found.price)));
        let tokens = input.saturating_add(outputs.max().unwrap_or_else(|| output(None)));
        let worst = |found: &Found<'_>| {
            self.dearer(&found.price, |price, tier| price.worst(input, output(Some(price)), tier))
        };
        let is_priced = self.rules.allows_unpriced || found.iter().all(Option::is_some);
        let cost = found.iter().flatten().map(worst).max().filter(|_| is_priced);
        Amount { cost, tokens }
    }

    /// Returns the cost by the model that the answer names, or by the dearest that may have computed, with the name of its row in the
    /// table. `None` where none has a price.
    ///
    /// `is_sum` says that several models may have computed parts of the answer.
    pub(super) fn charge(
        &self,
        answering: Option<&str>,
        is_sum: bool,
        cost: impl Fn(&Price, Option<Tier>) -> Nano,
    ) -> Option<(Nano, String)> {
        let of_answer = answering.and_then(|model| self.rules.prices.find(&self.provider, model));
        let of_answer = of_answer.filter(|found| self.own().is_none() || found.origin == Origin::Policy);
        let is_known = of_answer.is_some() && !is_sum;
        let others = self.found().flatten().filter(|_| !is_known);
        let costs =
            of_answer.into_iter().chain(others).map(|found| (self.dearer(&found.price, &cost), found));
        costs.max_by_key(|(cost, _)| *cost).map(|(cost, found)| (cost, found.name.to_owned()))
    }

    /// Returns the cost of tokens of models that the answering one has asked: by the dearest that the request names, or that the answer
    /// does. `None` where none has a price.
    pub(super) fn charge_others(&self, answering: Option<&str>, counts: &Counts) -> Option<Nano> {
        let names = self.models.iter().chain(&self.beside).map(String::as_str).chain(answering);
        let found = names.filter_map(|model| self.rules.prices.find(&self.provider, model));
        found.map(|found| self.dearer(&found.price, |price, tier| price.cost(counts, tier))).max()
    }

    /// Returns the name of the row of the dearest model.
    pub(super) fn name(&self) -> Option<String> {
        let counts = Counts { input: 1, output: 1, ..Counts::default() };
        self.charge(None, false, |price, tier| price.cost(&counts, tier)).map(|(_, name)| name)
    }

    /// Returns the price that the policy has for the one model of the request: a deployment or an alias at a contract's rates, of
    /// which the answer tells another name.
    fn own(&self) -> Option<Found<'_>> {
        let [model] = &*self.models else { return None };
        self.rules.prices.find(&self.provider, model).filter(|found| found.origin == Origin::Policy)
    }

    /// Returns the price of each model, in the order of the request.
    fn found(&self) -> impl Iterator<Item = Option<Found<'_>>> {
        self.models.iter().map(|model| self.rules.prices.find(&self.provider, model))
    }

    /// Returns the dearer of the plain cost and that of the tier that the request asks for: a provider may serve either.
    fn dearer(&self, price: &Price, cost: impl Fn(&Price, Option<Tier>) -> Nano) -> Nano {
        cost(price, None).max(cost(price, self.tier))
    }
}
