//! Observability: metrics with labels, access logs with the principal, one log line for each refusal.

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Request, Standin};
use serde_json::{Value, json};

#[test]
fn decisions_show_in_metrics_access_log_and_log() -> Result<()> {
    let digest = Digest::of(b"ptk_seen").to_hex();
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": digest, "label": "seen", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    let standin = Standin::start()?;
    let envoy = Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real").upstream(&standin).start()?;
    let request_id = "01234567-89ab-4cde-8f01-23456789abcd";
    for (request, status) in [
        (Request::get("/v1/models?query=hidden").bearer("ptk_seen"), 200),
        (
            Request::get("/v1/models?query=hidden").bearer("ptk_unknown").header("x-request-id", request_id),
            401,
        ),
        (Request::get("/v1/messages").bearer("ptk_seen"), 403),
        (Request::get("/v1/messages").bearer("ptk_seen"), 403),
    ] {
        let found = envoy.send(&request)?.status;
        ensure!(found == status, "{found} instead of {status}");
    }

    // The count of the last request comes no earlier than those of the others.
    envoy.has_counted("/stats/prometheus", &["keyswap_provider=\"anthropic\"} 2\n"])?;
    let metrics = envoy.admin("/stats/prometheus")?;
    for (verdict, reason, provider, count) in [
        ("forward", "allowed", "openai", 1),
        ("reply", "token_invalid", "openai", 1),
        ("reply", "provider_not_allowed", "anthropic", 2),
    ] {
        let labels = [("verdict", verdict), ("reason", reason), ("provider", provider)];
        let line = metrics.lines().find(|line| {
            line.starts_with("keyswap_decisions{")
                && labels.iter().all(|(name, value)| line.contains(&format!("keyswap_{name}=\"{value}\"")))
        });
        ensure!(
            line.is_some_and(|line| line.ends_with(&format!(" {count}"))),
            "no count of {count} for {labels:?}: {line:?}\n{metrics}"
        );
    }

    let log = envoy.access_log(4)?;
    let told = |line: &Value| {
        [&line["principal"], &line["label"], &line["provider"], &line["reason"]].map(Value::clone)
    };
    ensure!(
        told(&log[0]) == [json!(digest[..16]), json!("seen"), json!("openai"), json!("allowed")],
        "{log:?}"
    );
    ensure!(told(&log[1]) == [json!(null), json!(null), json!("openai"), json!("token_invalid")], "{log:?}");
    ensure!(
        told(&log[2])
            == [json!(digest[..16]), json!("seen"), json!("anthropic"), json!("provider_not_allowed")],
        "{log:?}"
    );
    ensure!(log.iter().all(|line| !line.to_string().contains("hidden")), "a query shows: {log:?}");

    let log = envoy.log();
    let refusals: Vec<&str> = log.lines().filter(|line| line.contains(r#""event":"refused""#)).collect();
    ensure!(refusals.len() == 3, "not one line per refusal:\n{log}");
    ensure!(refusals[0].contains(r#""fault":"no token has this digest""#), "{}", refusals[0]);
    Ok(())
}

#[test]
fn access_logs_get_no_values_where_the_policy_says_so() -> Result<()> {
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(b"ptk_seen").to_hex(), "label": "seen", "providers": ["openai"]}],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "metering": {},
        "access_log": "none",
    });
    let standin = Standin::start()?;
    let setup = || Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real").upstream(&standin);
    let requests = [
        (Request::get("/v1/models").bearer("ptk_seen"), 200),
        (Request::get("/v1/messages").bearer("ptk_seen"), 403),
        (Request::get("/v1/models").bearer("ptk_unknown"), 401),
        (
            Request::post("/v1/chat/completions", &json!({"model": "gpt-5", "messages": []}))
                .bearer("ptk_seen"),
            200,
        ),
    ];
    for envoy in [setup().start()?, setup().native().start()?] {
        for (request, status) in &requests {
            let found = envoy.send(request)?.status;
            ensure!(found == *status, "{found} instead of {status}");
        }
        for line in envoy.access_log(requests.len())? {
            let told = ["principal", "label", "team", "model", "input_tokens", "provider", "reason"]
                .map(|name| line[name].as_str().filter(|value| *value != "-"));
            ensure!(told == [None; 7] && line["status"].is_u64(), "{line}");
        }
    }
    Ok(())
}

#[test]
fn the_module_is_small() -> Result<()> {
    let size = std::fs::metadata(keyswap_tests::FILTER.path()?)?.len();
    ensure!(size < 1_530_000, "the filter has {size} bytes; every worker loads them");
    Ok(())
}
