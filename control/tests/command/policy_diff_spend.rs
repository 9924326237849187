//! `policy diff --requests`: the spending of a logged week under a new policy.

use serde_json::{Value, json};

use crate::support::{DIGEST, Folder, Run, assert_only_text, keyswap};

fn policy(token: &str, more: &str) -> String {
    format!(
        "\
version: keyswap/v1
credentials: {{openai: [{{env: A}}], anthropic: [{{env: B}}]}}
registry: {{url: 'http://r:7070', plaintext: trusted_network, credential: {{env: R}}}}
metering: {{}}
tokens:
  - {{sha256: {DIGEST}, label: alice, team: research, providers: [openai, anthropic]{token}}}
{more}"
    )
}

/// Returns a line of the log: its time on the 30th of June, the model, and the cost in thousandths of a dollar.
fn line(time: &str, model: &str, cost: u64, changes: &Value) -> String {
    let mut line = json!({
        "start_time": format!("2026-06-{time}:00Z"), "method": "POST", "path": "/v1/chat/completions", "status": 200,
        "principal": &DIGEST[..16], "label": "alice", "provider": "openai", "reason": "allowed",
        "model": model, "input_tokens": "1000", "output_tokens": "100",
        "cost_nano_usd": (cost * 1_000_000).to_string(),
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        line[name] = value.clone();
    }
    format!("{line}\n")
}

fn diff(old: &str, new: &str, log: &str, args: &[&str]) -> Run {
    let folder = Folder::new();
    let (old, new, log) =
        (folder.file("old.yaml", old), folder.file("new.yaml", new), folder.file("access.log", log));
    keyswap(&[&["policy", "diff", &old, &new, "--requests", &log], args].concat())
}

#[test]
fn what_a_stricter_policy_would_have_refused_and_saved_is_told() {
    let log = [
        line("28T10:00", "gpt-5", 200_000, &Value::Null),
        line("28T11:00", "gpt-5-mini", 1_000, &Value::Null),
        line("29T10:00", "gpt-5", 210_000, &Value::Null),
        line("29T10:01", "gpt-5", 8_000, &Value::Null),
        line("29T10:02", "other", 0, &json!({"cost_nano_usd": null})),
        line("29T10:03", "claude-opus-4-5", 5_000, &json!({"provider": "anthropic", "path": "/v1/messages"})),
        line("29T10:04", "gpt-5-mini", 0, &json!({"input_tokens": "-", "output_tokens": null})),
        line("29T10:05", "", 0, &json!({"model": null, "method": "GET", "path": "/v1/models"})),
    ]
    .concat();
    let run = diff(&policy("", ""), &policy(", models: ['*', '!gpt-5']", ""), &log, &[]);
    let expect = "\
8 lines: 7 judged, 3 changed
         3  alice, openai: allowed → model_not_allowed
            such as POST /v1/chat/completions at 2026-06-28T10:00:00Z
would have refused 3 requests and saved $418.00
         3       $418.00  model_not_allowed: openai, gpt-5
spend: $424.00 by the log, $6.00 under the new policy
not judged: 1
         1  of a model that the log does not name, and that matters to the new policy
";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (2, expect, ""));
    let answer =
        diff(&policy("", ""), &policy(", models: ['*', '!gpt-5']", ""), &log, &["--format", "json"]).json();
    let expect = json!({
        "refused": {"requests": 3, "usd": "418", "unknown": 0, "groups": [
            {"reason": "model_not_allowed", "provider": "openai", "model": "gpt-5", "requests": 3, "usd": "418",
             "unknown": 0},
        ]},
        "admitted": {"requests": 0, "usd": "0", "unknown": 0, "groups": []},
        "before": {"requests": 6, "usd": "424", "unknown": 0},
        "after": {"requests": 3, "usd": "6", "unknown": 0},
        "estimated": 0, "unpriced": 0, "budgets": {"counted": 0, "uncounted": {}},
    });
    assert_eq!(answer["spend"], expect);
}

#[test]
fn what_a_wider_policy_would_have_admitted_has_no_known_cost() {
    let refused = json!({"reason": "model_not_allowed", "model": null, "cost_nano_usd": null, "status": 403});
    let log = line("28T10:00", "gpt-5", 1_000, &Value::Null) + &line("28T10:00", "", 0, &refused);
    let run = diff(&policy(", models: [gpt-5]", ""), &policy("", ""), &log, &[]);
    let expect = "\
would have admitted 1 request, whose cost is not known: they were refused
         1  model_not_allowed: openai
spend: $1.00 by the log, $1.00 under the new policy
";
    assert!(run.stdout.contains(expect), "{}", run.stdout);
}

#[test]
fn a_budget_is_replayed_in_the_order_of_times_and_begins_anew_with_each_window() {
    // Envoy writes a line when a request ends, so the lines are not in order.
    let day = |day: u64| {
        [("10:03", 3_000), ("10:01", 6_000), ("10:02", 5_000), ("23:59", 1_000)]
            .map(|(time, cost)| line(&format!("{day}T{time}"), "gpt-5", cost, &Value::Null))
            .concat()
    };
    let log = day(28) + &day(29);
    let usd = policy("", "budgets: {team: {usd: 10, per: day}}");
    let tokens = policy("", "budgets: {token: {tokens: 2200, per: day}}");
    let month = policy("", "budgets: {team: {usd: 10, per: month}}");
    let both = policy("", "budgets: {team: {usd: 10, per: day}, token: {tokens: 1100, per: day}}");
    // In order a day has 6, 5, 3 and 1 dollars.
    for (new, requests, dollars) in
        [(&usd, 2, "10"), (&tokens, 4, "8"), (&month, 5, "20"), (&both, 6, "18"), (&policy("", ""), 0, "0")]
    {
        let answer = diff(&policy("", ""), new, &log, &["--format", "json"]).json();
        let refused = &answer["spend"]["refused"];
        let expect = (&json!(requests), &json!(dollars));
        assert_eq!((&refused["requests"], &refused["usd"]), expect, "{new}\n{answer}");
        if requests > 0 {
            assert_eq!(refused["groups"][0]["reason"], "budget_exceeded");
            assert_eq!(answer["spend"]["budgets"]["counted"], json!(8));
        }
    }
}

#[test]
fn what_cannot_be_charged_is_counted() {
    let log = [
        line("28T10:00", "gpt-5", 1_000, &json!({"principal": "0123456789abcdef"})),
        line("28T10:01", "gpt-5", 0, &json!({"cost_nano_usd": null})),
        line("28T10:02", "gpt-5", 0, &json!({"cost_nano_usd": "-5"})),
        line("28T10:03", "", 0, &json!({"model": null, "cost_nano_usd": null})),
        line("28T10:04", "gpt-5", 2_000, &Value::Null),
    ]
    .concat();
    let run = diff(&policy("", ""), &policy("", "budgets: {team: {usd: 10, per: day}}"), &log, &[]);
    let expect = "\
spend: $3.00 by the log, $3.00 under the new policy
         3  without a cost in the log
budgets: 1 request counted
         1  of a principal whose record is in the registry
         3  without tokens or cost in the log
";
    assert!(run.stdout.contains(expect), "{}", run.stdout);
    assert_eq!(run.code, 0, "{}", run.all());
}

#[test]
fn other_prices_are_applied_to_the_tokens_of_the_log() {
    let log = line("28T10:00", "gpt-5", 1_000, &Value::Null);
    let new = policy("", "prices: {gpt-5: {input: 1000, output: 10000}}");
    let run = diff(&policy("", ""), &new, &log, &[]);
    let expect = "\
spend: $1.00 by the log, $2.00 under the new policy
         1  at new prices, as plain input and output: the log has no other tokens
";
    assert!(run.stdout.contains(expect), "{}", run.stdout);
}

#[test]
fn a_hostile_log_writes_text_only_and_no_sum_overflows() {
    let most =
        json!({"cost_nano_usd": u64::MAX.to_string(), "input_tokens": u64::MAX, "output_tokens": u64::MAX});
    let endless = "é".repeat(100_000);
    let log: String = ["gpt-5", "a\n\u{1b}[2J\u{202e}", endless.as_str()]
        .into_iter()
        .map(|model| line("28T10:00", model, 1, &most))
        .cycle()
        .take(9)
        .collect();
    let new = policy(", expires_at: 2026-01-01T00:00:00Z", "budgets: {team: {usd: 10, per: day}}");
    let run = diff(&policy("", ""), &new, &log, &[]);
    assert!(run.stdout.contains("would have refused 9 requests"), "{}", run.all());
    assert!(run.stdout.len() < 5000, "{} bytes", run.stdout.len());
    assert_only_text(&run);
}
