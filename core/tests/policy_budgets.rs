//! Prices, budgets and metering in a policy: each value that is right, and each error with its place.

use keyswap_core::policy::Policy;
use serde_json::{Value, json};

fn document() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": "0".repeat(64), "label": "t", "owner": "a@b.c", "providers": ["openai"],
                    "expires_at": "2027-06-30T00:00:00Z", "budget": {"usd": 10, "per": "month"}}],
        "credentials": {"openai": [{"env": "A"}]},
        "registry": {"url": "https://r", "credential": {"env": "R"}},
        "prices": {"own": {"input": 1, "output": 2}},
        "budgets": {"token": {"usd": 10, "per": "month", "timezone": "Europe/Berlin"}},
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let members = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name)
    } else {
        members.insert(name.to_owned(), value)
    };
    document
}

/// Returns the errors, each as `path: message`.
fn errors(document: &Value) -> Vec<String> {
    match Policy::from_json(document.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(|error| format!("{}: {}", error.path, error.message)).collect(),
    }
}

#[test]
fn amounts_are_exact_decimals_within_their_bounds() {
    let usd = "budgets.token.usd: expected US dollars such as `10` or `0.25`";
    let tokens = "budgets.token.tokens: expected";
    for (budget, expect) in [
        (json!({"usd": 0.000_000_001}), ""),
        (json!({"usd": "0.000000001"}), ""),
        (json!({"usd": 9_000_000}), ""),
        (json!({"usd": 0.0}), usd),
        (json!({"usd": 0}), usd),
        (json!({"usd": -1}), usd),
        (json!({"usd": "0.0000000001"}), usd),
        (json!({"usd": "9000000.000000001"}), usd),
        (json!({"usd": "ten"}), usd),
        (json!({"usd": "$10"}), usd),
        (json!({"usd": true}), usd),
        (json!({"usd": [10]}), usd),
        (json!({"tokens": 1}), ""),
        (json!({"tokens": 9_000_000_000_000_000_u64}), ""),
        (json!({"tokens": 0}), tokens),
        (json!({"tokens": 1.5}), tokens),
        (json!({"tokens": "5"}), tokens),
        (json!({"tokens": 9_000_000_000_000_001_u64}), tokens),
        (json!({"tokens": 5, "usd": 5}), "budgets.token: expected either `usd` or `tokens`"),
        (json!({}), "budgets.token: expected either `usd` or `tokens`"),
    ] {
        let mut own = budget.clone();
        own["per"] = json!("day");
        let found = errors(&with("/budgets/token", own));
        assert!(found.len() == usize::from(!expect.is_empty()), "{budget}: {found:?}");
        assert!(found.iter().all(|error| error.starts_with(expect)), "{budget}: {found:?}");
    }
}

#[test]
fn windows_are_calendar_windows_of_a_zone() {
    for (per, zone, expect) in [
        ("hour", "UTC", ""),
        ("day", "America/Argentina/Buenos_Aires", ""),
        ("week", "Etc/GMT+5", ""),
        ("month", "Etc/GMT-14", ""),
        ("month", "EST5EDT", ""),
        ("year", "UTC", "budgets.token.per: expected one of `hour`, `day`, `week`, `month`"),
        ("30d", "UTC", "budgets.token.per: expected one of"),
        ("day", "", "budgets.token.timezone: expected the IANA name"),
        ("day", "+01:00", "budgets.token.timezone: expected the IANA name"),
        ("day", "Europe//Berlin", "budgets.token.timezone: expected the IANA name"),
        ("day", "/etc/passwd", "budgets.token.timezone: expected the IANA name"),
        ("day", "../UTC", "budgets.token.timezone: expected the IANA name"),
        ("day", "Europe/Berlin ", "budgets.token.timezone: expected the IANA name"),
    ] {
        let found = errors(&with("/budgets/token", json!({"usd": 1, "per": per, "timezone": zone})));
        assert!(found.len() == usize::from(!expect.is_empty()), "{per} {zone}: {found:?}");
        assert!(found.iter().all(|error| error.starts_with(expect)), "{per} {zone}: {found:?}");
    }
}

#[test]
fn a_price_says_input_and_output_and_each_rate_is_a_decimal() {
    let rate = "expected US dollars per million tokens";
    for (price, expect) in [
        (
            json!({"input": 1.25, "output": 10, "cached": "0.125", "cache_write": 0, "cache_write_1h": 2, "reasoning": 10,
                "audio_input": 40, "audio_output": 80, "image_input": 10, "image_output": 40, "max_output": 128_000,
                "above": [{"input_tokens": 200_000, "input": 2.5}, {"input_tokens": 272_000, "input": 3}],
                "factors": {"fast": 2, "us": "1.1"}, "flex": {"input": 0.5}, "batch": {"output": 5}, "priority": {"above": [{"input_tokens": 272_000, "input": 9}]}}),
            vec![],
        ),
        (json!({"input": 1}), vec!["prices.own: the field `output` is missing"]),
        (json!({"output": 1}), vec!["prices.own: the field `input` is missing"]),
        (json!({"input": -1, "output": "x"}), vec![rate, rate]),
        (json!({"input": 1, "output": 1_000_001}), vec![rate]),
        (json!({"input": 1, "output": 1, "cost": 1}), vec!["prices.own.cost: unknown field"]),
        (
            json!({"input": 1, "output": 1, "flex": {"max_output": 1}}),
            vec!["prices.own.flex.max_output: unknown field"],
        ),
        (json!({"input": 1, "output": 1, "max_output": 0}), vec!["prices.own.max_output: expected 1 to"]),
        (
            json!({"input": 1, "output": 1, "above": [{"input": 1}]}),
            vec!["prices.own.above[0]: the field `input_tokens`"],
        ),
        (
            json!({"input": 1, "output": 1, "above": [{"input_tokens": 5}, {"input_tokens": 5}]}),
            vec!["prices.own: two entries of `above`"],
        ),
        (
            json!({"input": 1, "output": 1, "factors": {"us": 0}}),
            vec!["prices.own.factors.us: expected a factor"],
        ),
        (
            json!({"input": 1, "output": 1, "factors": {"us": 1.0001}}),
            vec!["prices.own.factors.us: expected a factor"],
        ),
        (
            json!({"input": 1, "output": 1, "factors": {"eu": 2}}),
            vec!["prices.own.factors.eu: unknown field"],
        ),
        (json!(1.5), vec!["prices.own: expected an object"]),
    ] {
        let found = errors(&with("/prices/own", price.clone()));
        assert_eq!(found.len(), expect.len(), "{price}: {found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{price}: {found}");
        }
    }
    for name in ["", "a b", "ä", &"m".repeat(257)] {
        let found = errors(&with("/prices", json!({name: {"input": 1, "output": 1}})));
        assert!(found[0].contains("expected the name of a model"), "{name}: {found:?}");
    }
}

#[test]
fn budgets_need_a_registry_that_keeps_them() {
    let message = "budgets: there is no `registry` that keeps budgets: `keyswap serve` does";
    let introspection =
        json!({"url": "https://r", "credential": {"env": "R"}, "introspection": {"providers": ["openai"]}});
    for registry in [Value::Null, introspection] {
        for budgets in [json!({"team": {"usd": 1, "per": "day"}}), json!({}), Value::Null] {
            let mut document = with("/registry", registry.clone());
            let members = document.as_object_mut().unwrap();
            if budgets.is_null() {
                members.remove("budgets")
            } else {
                members.insert("budgets".to_owned(), budgets)
            };
            assert_eq!(errors(&document), [message], "{document}");
        }
    }
    let mut document = with("/registry", Value::Null);
    document.as_object_mut().unwrap().remove("budgets");
    document["tokens"][0].as_object_mut().unwrap().remove("budget");
    assert_eq!(errors(&document), [""; 0], "prices and metering need none");
}

#[test]
fn every_error_is_told_at_once() {
    let mut document = document();
    document["tokens"][0]["budget"] = json!({"per": "year"});
    document["principals"] =
        json!([{"email": "p@b.c", "providers": ["openai"], "budget": {"usd": "x", "per": "day"}}]);
    document["metering"] = json!({"ask_usage": "yes", "when_left": "never", "sample": 1});
    document["rate_limit"] = json!({"tokens": 0});
    document["tokens"][0]["rate_limit"] = json!({"per": "60s"});
    document["prices"] = json!({"a": {"input": "x", "output": 1}, "b": 1});
    document["budgets"] = json!({"token": {}, "unpriced": "maybe", "default_output": 0, "people": {}});
    let found = errors(&document);
    for place in [
        "tokens[0].budget: expected either",
        "tokens[0].budget.per: ",
        "principals[0].budget.usd: ",
        "metering.ask_usage: ",
        "metering.when_left: ",
        "metering.sample: unknown field",
        "rate_limit.tokens: expected 1 to 1000000000 tokens",
        "tokens[0].rate_limit: the field `requests` is missing",
        "prices.a.input: ",
        "prices.b: ",
        "budgets.token: the field `per`",
        "budgets.token: expected either",
        "budgets.unpriced: ",
        "budgets.default_output: ",
        "budgets.people: unknown field",
    ] {
        assert!(found.iter().any(|error| error.starts_with(place)), "{place} {found:#?}");
    }
    assert_eq!(found.len(), 15, "{found:#?}");
}

#[test]
fn time_zones_are_told_with_their_places() {
    let mut document = document();
    document["tokens"][0]["budget"]["timezone"] = json!("Asia/Tokyo");
    let policy = Policy::from_json(document.to_string().as_bytes()).unwrap();
    let expect = [("budgets.token.timezone", "Europe/Berlin"), ("tokens[0].budget.timezone", "Asia/Tokyo")];
    assert_eq!(policy.timezones(), expect.map(|(place, zone)| (place.to_owned(), zone)));

    // The budget of a rule alone is one that needs the registry.
    let budget = json!({"usd": 1, "per": "day", "timezone": "Asia/Tokyo"});
    let entry = json!({
        "name": "mesh", "trust_domain": "example.org", "providers": ["openai"], "budget": budget,
        "rules": [{"when": {"namespace": ["a"]}}, {"budget": {"usd": 1, "per": "day", "timezone": "Africa/Cairo"}}],
    });
    document["client_certificates"] = json!([entry]);
    for member in ["budgets", "tokens"] {
        document.as_object_mut().unwrap().remove(member);
    }
    let policy = Policy::from_json(document.to_string().as_bytes()).unwrap();
    let expect = ["Asia/Tokyo", "Africa/Cairo"].map(|zone| ("client_certificates[0].rules", zone));
    document.as_object_mut().unwrap().remove("registry");
    assert_eq!(
        errors(&document),
        ["budgets: there is no `registry` that keeps budgets: `keyswap serve` does"]
    );
    assert_eq!(policy.timezones(), expect.map(|(place, zone)| (place.to_owned(), zone)));
}
