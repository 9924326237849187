//! Models and costs of logged requests under another policy: what is said is what that policy decides of the model that
//! the log names, and nothing is said where the log does not name one that matters.

use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::host::{Capabilities, Environment};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{LoggedRequest, ReplayOutcome, ReplayPolicy};
use keyswap_core::policy::Policy;
use keyswap_core::price::Nano;
use keyswap_core::services::Services;
use serde_json::{Value, json};

const TOKEN: &str = "ptk_alice";

struct Placeholders;

impl Environment for Placeholders {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        Some(format!("<{name}>").into_bytes())
    }
}

/// Returns a policy with one token, whose members are `token`, and with other members.
fn policy(token: &Value, more: &Value) -> Value {
    let mut policy = json!({
        "version": "keyswap/v1",
        "model_groups": {"small": ["gpt-5-mini", "claude-haiku-*"]},
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "alice", "team": "research",
            "providers": ["openai:*", "anthropic", "gemini"],
        }],
        "registry": {"url": "http://r", "plaintext": "trusted_network", "credential": {"env": "R"}},
        "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}], "gemini": [{"env": "C"}]},
    });
    for (name, value) in token.as_object().into_iter().flatten() {
        policy["tokens"][0][name] = value.clone();
    }
    for (name, value) in more.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    policy
}

fn compile(policy: &Value) -> ReplayPolicy {
    let policy = Policy::from_json(policy.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}"));
    let services = Services::new(Box::new(PureRust), Capabilities::ENVOY);
    ReplayPolicy::new(policy, &Placeholders, &services).unwrap()
}

fn logged<'l>(principal: &'l str, model: &'l str, reason: &'l str) -> LoggedRequest<'l> {
    LoggedRequest {
        at: UnixTime(1_800_000_000),
        principal,
        method: "POST",
        path: "/v1/chat/completions",
        provider: "openai",
        reason,
        upgraded: false,
        model,
        input: Some(1000),
        output: Some(100),
        cost: Some(Nano(7)),
    }
}

fn id() -> String {
    Digest::of(TOKEN.as_bytes()).to_hex()[..16].to_owned()
}

/// Returns the reason of the new policy, or the code of why there is none.
fn said(outcome: &ReplayOutcome) -> &'static str {
    match outcome {
        ReplayOutcome::Judged { after, .. } => after.reason,
        ReplayOutcome::NotReplayable(why) => why.code(),
    }
}

#[test]
fn a_model_is_judged_by_its_name_in_the_prices() {
    let models = |entries: &[&str]| json!({"models": entries});
    let all = json!({});
    for (old, new, model, reason, expect) in [
        (&all, models(&["gpt-5-mini"]), "gpt-5", "allowed", "model_not_allowed"),
        (&all, models(&["gpt-5-mini"]), "gpt-5-mini", "allowed", "allowed"),
        (&all, models(&["group:small"]), "gpt-5-mini", "allowed", "allowed"),
        (&all, models(&["group:small"]), "gpt-5", "allowed", "model_not_allowed"),
        (&all, models(&["*", "!gpt-5"]), "gpt-5", "allowed", "model_not_allowed"),
        (&all, models(&["*", "!gpt-5"]), "gpt-5-mini", "allowed", "allowed"),
        (&all, models(&["openai/*"]), "gpt-5", "allowed", "ambiguous"),
        // The log does not tell the date in the name.
        (&all, models(&["gpt-5-2025-08-07"]), "gpt-5", "allowed", "ambiguous"),
        (&all, models(&["gpt-5-2025*"]), "gpt-5", "allowed", "ambiguous"),
        (&all, models(&["*", "!gpt-5-2025-08-07"]), "gpt-5", "allowed", "ambiguous"),
        (&models(&["gpt-5"]), models(&["gpt-5-2025-08-07"]), "gpt-5", "allowed", "model_not_allowed"),
        (&models(&["gpt-5-2025-08-07"]), models(&["gpt-5-2025-08-07", "o3"]), "gpt-5", "allowed", "allowed"),
        (&models(&["gpt-5-2025-08-07"]), models(&["o3"]), "gpt-5", "allowed", "model_not_allowed"),
        // A longer name that has a price of its own is another model.
        (&all, models(&["gpt-5-mini*"]), "gpt-5", "allowed", "model_not_allowed"),
        // What the log does not name is not judged where it matters.
        (&all, models(&["gpt-5"]), "other", "allowed", "model"),
        (&all, models(&["gpt-5"]), "", "allowed", "model"),
        (&models(&["gpt-5"]), models(&["gpt-5"]), "other", "allowed", "allowed"),
        (&models(&["gpt-5"]), all.clone(), "other", "allowed", "allowed"),
        // The old policy admits no such model.
        (&models(&["o3"]), models(&["gpt-5"]), "gpt-5", "allowed", "model"),
        // The log of a refused request has no model.
        (&models(&["gpt-5"]), all.clone(), "", "model_not_allowed", "allowed"),
        (&models(&["gpt-5"]), models(&["gpt-5"]), "", "model_not_allowed", "model_not_allowed"),
        (&models(&["gpt-5"]), models(&["o3"]), "", "model_not_allowed", "model"),
        (&models(&["gpt-5"]), models(&["o3"]), "", "model_missing", "model_missing"),
        (&models(&["gpt-5"]), all.clone(), "", "body_invalid", "allowed"),
        (&models(&["gpt-5"]), models(&["o3"]), "", "body_unreadable", "body_unreadable"),
        (&all, models(&["o3"]), "", "model_not_allowed", "another_policy"),
        // For the moment it was refused, and its model is not known.
        (&all, models(&["o3"]), "", "budget_exceeded", "model"),
        (&all, all.clone(), "", "budget_exceeded", "allowed"),
    ] {
        let (before, after) = (compile(&policy(old, &json!({}))), compile(&policy(&new, &json!({}))));
        let outcome = before.replay(&logged(&id(), model, reason), &after);
        assert_eq!(said(&outcome), expect, "{old} → {new}: {model}, {reason}");
    }
}

#[test]
fn a_model_without_a_price_stays_refused_only_where_something_depends_on_it() {
    let budgets = json!({"budgets": {"token": {"usd": 1, "per": "day"}}});
    for (token, more, expect) in [
        (json!({}), json!({}), "allowed"),
        (json!({"models": ["o3"]}), json!({}), "model"),
        (json!({}), budgets.clone(), "model"),
    ] {
        let (before, after) = (compile(&policy(&json!({}), &budgets)), compile(&policy(&token, &more)));
        let outcome = before.replay(&logged(&id(), "", "model_unpriced"), &after);
        assert_eq!(said(&outcome), expect, "{token} {more}");
    }
}

#[test]
fn a_model_in_the_path_is_judged_exactly_and_a_list_is_no_use_of_a_model() {
    let (before, after) = (json!({}), json!({"models": ["gemini-2.5-flash"]}));
    let (before, after) = (compile(&policy(&before, &json!({}))), compile(&policy(&after, &json!({}))));
    for (method, path, provider, expect) in [
        ("POST", "/v1beta/models/gemini-2.5-flash:generateContent", "gemini", "allowed"),
        ("POST", "/v1beta/models/gemini-2.5-flash-001:generateContent", "gemini", "model_not_allowed"),
        ("GET", "/v1beta/models", "gemini", "allowed"),
        ("GET", "/v1/models", "openai", "allowed"),
    ] {
        let id = id();
        let request = LoggedRequest { method, path, provider, ..logged(&id, "other", "allowed") };
        assert_eq!(said(&before.replay(&request, &after)), expect, "{path}");
    }
}

#[test]
fn groups_of_models_that_change_leave_the_registrys_tokens_unjudged() {
    let other_groups = json!({"model_groups": {"small": ["gpt-5-nano"]}});
    let old = compile(&policy(&json!({}), &json!({})));
    for (new, expect) in [(json!({}), "allowed"), (other_groups, "registry")] {
        let new = compile(&policy(&json!({}), &new));
        assert_eq!(said(&old.replay(&logged("0123456789abcdef", "gpt-5", "allowed"), &new)), expect);
    }
}

#[test]
fn a_request_is_charged_at_the_new_prices() {
    let prices = |input: u64| json!({"prices": {"own": {"input": input, "output": 10}}});
    let budget = json!({"budgets": {"team": {"usd": "1", "per": "day"}}});
    let lenient = json!({"budgets": {"team": {"usd": "1", "per": "day"}, "unpriced": "allow"}});
    let in_tokens = json!({"budgets": {"team": {"tokens": 9, "per": "day"}}});
    let both = |one: &Value, other: &Value| {
        let mut both = one.clone();
        both.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
        both
    };
    let cost = |cost: Option<u64>, estimate: bool| (cost.map(Nano), estimate);
    for (old, new, model, reason, expect) in [
        // The same price: the cost of the log is exact.
        (prices(1), prices(1), "own", "allowed", cost(Some(7), false)),
        (prices(1), both(&prices(1), &budget), "own", "allowed", cost(Some(7), false)),
        // 1,000 tokens of input at $2 and 100 of output at $10 a million.
        (prices(1), prices(2), "own", "allowed", cost(Some(3_000_000), true)),
        (prices(1), json!({}), "own", "allowed", cost(None, false)),
        (prices(1), budget.clone(), "own", "model_unpriced", cost(None, false)),
        (prices(1), lenient.clone(), "own", "allowed", cost(None, false)),
        (prices(1), in_tokens.clone(), "own", "allowed", cost(None, false)),
        // A model that has no price under the same prices has none.
        (json!({}), budget.clone(), "other", "model_unpriced", cost(Some(7), false)),
        (prices(1), both(&prices(2), &budget), "other", "allowed", cost(Some(7), false)),
    ] {
        let (before, after) = (compile(&policy(&json!({}), &old)), compile(&policy(&json!({}), &new)));
        let outcome = before.replay(&logged(&id(), model, "allowed"), &after);
        assert_eq!(said(&outcome), reason, "{old} → {new}");
        let ReplayOutcome::Judged { charge: Some(charge), .. } = outcome else { panic!("{old} → {new}") };
        assert_eq!((charge.cost, charge.is_estimate), expect, "{old} → {new}: {model}");
        assert_eq!(charge.tokens, Some(1100));
    }
}

#[test]
fn the_budgets_of_a_caller_are_those_that_the_policy_gives_it() {
    let budgets =
        json!({"budgets": {"team": {"usd": "1", "per": "day"}, "token": {"tokens": 5, "per": "hour"}}});
    let (before, after) = (compile(&policy(&json!({}), &json!({}))), compile(&policy(&json!({}), &budgets)));
    let subjects = |principal: &str| match before.replay(&logged(principal, "gpt-5", "allowed"), &after) {
        ReplayOutcome::Judged { charge: Some(charge), .. } => {
            charge.budgets.map(|all| all.into_iter().map(|(subject, _)| subject).collect::<Vec<_>>())
        }
        outcome => panic!("{outcome:?}"),
    };
    let token = format!("token:{}", Digest::of(TOKEN.as_bytes()).to_hex());
    assert_eq!(subjects(&id()), Some(vec![token, "team:research".to_owned()]));
    assert_eq!(subjects("0123456789abcdef"), None, "the registry has the record");
}
