//! Behaviour of gateways that the case corpus cannot test: logs, and Envoy's changes to a target before the filter.

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Envoy, Request, Standin};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_bootstrap-tests-0123456789abcdefghij";
const TOKEN_SHA256: &str = "39b2b6b66b2cd7b0a71b6a7bcb993ce333a77542e4fd00ccaa99dd95aeabf4ad";
const KEY: &str = "real+gemini/sentinel";
const ENCODED_KEY: &str = "real%2Bgemini%2Fsentinel";

fn policy() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": TOKEN_SHA256, "label": "t", "providers": ["gemini", "openai"]}],
        "credentials": {
            "gemini": [{"env": "GEMINI_API_KEY"}], "openai": [{"env": "OPENAI_API_KEY"}], "cf": [{"env": "CF_AIG_TOKEN"}],
        },
        "gateway": {
            "cloudflare": {"account": "acc0123", "gateway": "prod", "credential": "cf", "mode": "provider_key"},
        },
    })
}

fn start(standin: &Standin) -> Result<Envoy> {
    let setup = Envoy::with(&policy()).upstream(standin).filter_log_level("trace");
    setup.env("GEMINI_API_KEY", KEY).env("OPENAI_API_KEY", "sk-real").env("CF_AIG_TOKEN", "real-cf").start()
}

#[test]
fn a_key_in_the_query_of_a_realtime_upgrade_is_in_no_log_and_no_statistic() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    let upgrade = Request::get("/google?model=m&api_key=placeholder")
        .bearer(TOKEN)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let response = envoy.send(&upgrade)?;
    let received = standin.take().pop().context("nothing was forwarded")?;
    ensure!(
        received.target == format!("/v1/acc0123/prod/google?model=m&api_key={ENCODED_KEY}"),
        "the gateway got {}",
        received.target
    );

    let line = envoy.access_log(1)?.remove(0);
    ensure!(line["path"] == "/v1/acc0123/prod/google", "the access log has {line}");
    let shown = [
        ("the access log", line.to_string()),
        ("the log", envoy.log()),
        ("the statistics", envoy.admin("/stats")?),
        ("the configuration", envoy.admin("/config_dump")?),
        ("the answer's head", format!("{:?}", response.headers)),
    ];
    for (place, text) in shown {
        for secret in [KEY, ENCODED_KEY, "gemini%2Fsentinel", "gemini/sentinel", TOKEN] {
            ensure!(!text.contains(secret), "{place} has a secret:\n{text}");
        }
    }
    Ok(())
}

#[test]
fn the_host_of_an_absolute_target_chooses_no_upstream() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    let response = envoy.send(&Request::get("http://api.anthropic.com/v1/models").bearer(TOKEN))?;
    ensure!(response.status == 200, "answered {}", response.status);
    let received = standin.take().pop().context("nothing was forwarded")?;
    ensure!(received.sni == "gateway.ai.cloudflare.com", "sent to {}", received.sni);
    ensure!(received.target == "/v1/acc0123/prod/openai/v1/models", "sent to {}", received.target);
    Ok(())
}
