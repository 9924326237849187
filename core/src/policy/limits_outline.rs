//! Limits, prices, budgets and metering in the outline of a policy.

use serde_json::{Map, Value, json};

use super::budgets::{MeteringPolicy, WhenLeft};
use crate::limit::{Budget, BudgetRules, CallerLimit, LimitStore, RateLimit, Rule, TokenLimit, Unit};
use crate::price::{Factor, Nano, Part, Price, Sheet, Tier, write_factor};

pub(super) fn price(price: &Price) -> Value {
    let rates = |sheet: &Sheet| {
        let rate = |part: Part| Some((part.name().to_owned(), Nano(sheet.rate(part)?).to_string().into()));
        Part::ALL.into_iter().filter_map(rate).collect::<Map<String, Value>>()
    };
    let sheet = |sheet: &Sheet| {
        let tier = Tier::ALL.iter().find(|(tier, ..)| sheet.tier == Some(*tier)).map(|(_, name, _)| *name);
        json!({"tier": tier, "above": sheet.above, "rates": rates(sheet)})
    };
    let factors = Factor::ALL.iter().zip(price.factors());
    let factors =
        factors.filter_map(|((name, _), factor)| Some(((*name).to_owned(), write_factor((*factor)?).into())));
    json!({
        "max_output": price.max_output(),
        "sheets": price.sheets().iter().map(sheet).collect::<Vec<_>>(),
        "factors": factors.collect::<Map<String, Value>>(),
    })
}

pub(super) fn budget(budget: &Budget) -> Value {
    let Budget { unit, amount, per, timezone } = budget;
    let amount = match unit {
        Unit::Usd => json!(Nano(*amount).to_string()),
        Unit::Tokens => json!(amount),
    };
    json!({unit.name(): amount, "per": per.name(), "timezone": timezone})
}

pub(super) fn budgets(rules: &BudgetRules) -> Value {
    let BudgetRules { token, owner, team, own: _, allows_unpriced, failure_mode_allow, default_output } =
        rules;
    json!({
        "token": token.as_ref().map(budget),
        "owner": owner.as_ref().map(budget),
        "team": team.as_ref().map(budget),
        "unpriced": if *allows_unpriced { "allow" } else { "refuse" },
        "failure_mode_allow": failure_mode_allow,
        "default_output": default_output,
    })
}

pub(super) fn limit(limit: CallerLimit) -> Value {
    json!({
        "requests": limit.requests.map(RateLimit::requests),
        "tokens": limit.tokens.map(TokenLimit::tokens),
        "per": format!("{}s", limit.seconds()),
    })
}

pub(super) fn rule(rule: Rule) -> Value {
    let Rule { limit: own, failure_mode_allow, store } = rule;
    let store = if store == LimitStore::Registry { "registry" } else { "memory" };
    json!({"limit": limit(own), "failure_mode_allow": failure_mode_allow, "store": store})
}

pub(super) fn metering(metering: MeteringPolicy) -> Value {
    let MeteringPolicy { asks_usage, when_left } = metering;
    let name = WhenLeft::ALL.iter().find(|(_, other)| *other == when_left).map(|(name, _)| *name);
    json!({"ask_usage": asks_usage, "when_left": name})
}
