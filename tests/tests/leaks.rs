//! Neither a caller's token nor an upstream credential is seen where it does not belong.

use anyhow::{Result, ensure};
use keyswap_core::TokenDigest;
use keyswap_tests::{Envoy, Request, Standin};
use serde_json::{Value, json};

/// Values that occur nowhere else, so that finding one is proof of a leak.
const TOKEN: &str = "ptk_sentinel-token-4f1d";
const EXPIRED: &str = "ptk_sentinel-expired-77a2";
const UNKNOWN: &str = "ptk_sentinel-unknown-e0b9";
const SECRETS: [(&str, &str); 4] = [
    ("OPENAI_API_KEY", "sk-sentinel-openai-93c1"),
    ("ANTHROPIC_API_KEY", "sk-sentinel-anthropic-0d5e"),
    ("GEMINI_API_KEY", "sentinel-gemini-b7f8"),
    ("CF_AIG_TOKEN", "sentinel-gateway-216a"),
];

fn policy() -> Value {
    let sha256 = |token: &str| TokenDigest::of(token.as_bytes()).to_hex();
    json!({
        "version": "keyswap/v1",
        "tokens": [
            {"sha256": sha256(TOKEN), "label": "sentinel", "providers": ["openai", "anthropic", "gemini"]},
            {"sha256": sha256(EXPIRED), "label": "expired", "providers": ["openai"], "expires_at": "2020-01-01T00:00:00Z"},
        ],
        "credentials": {
            "openai": [{"env": "OPENAI_API_KEY"}],
            "anthropic": [{"env": "ANTHROPIC_API_KEY"}],
            "gemini": [{"env": "GEMINI_API_KEY"}],
            "cf_aig": [{"env": "CF_AIG_TOKEN"}],
        },
        "gateway": {"cloudflare": {"account": "acc", "gateway": "gw", "credential": "cf_aig", "mode": "provider_key"}},
    })
}

/// A request for each provider and slot, with this token.
fn requests(token: &str) -> Vec<Request> {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1});
    vec![
        Request::post("/v1/chat/completions", &body).bearer(token),
        Request::post("/v1/messages", &body).header("x-api-key", token),
        Request::post("/v1/messages", &body).bearer(token),
        Request::post("/v1beta/models/g:generateContent", &json!({})).header("x-goog-api-key", token),
        Request::post(format!("/v1beta/models/g:generateContent?key={token}"), &json!({})),
        Request::get(format!("/v1/models?a=b&KEY={token}")).header("api-key", token),
        Request::get("/v1/realtime?model=m")
            .header("connection", "Upgrade, cf-aig-metadata, cf-aig-authorization")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-protocol", format!("realtime, openai-insecure-api-key.{token}")),
    ]
}

#[test]
fn tokens_and_credentials_stay_out_of_logs_stats_dumps_and_refusals() -> Result<()> {
    let standin = Standin::start()?;
    let mut setup = Envoy::with(&policy()).upstream(&standin).filter_log_level("trace");
    for (name, value) in SECRETS {
        setup = setup.env(name, value);
    }
    let envoy = setup.start()?;

    let mut shown = Vec::new();
    let mut sent = 0;
    for token in [TOKEN, EXPIRED, UNKNOWN] {
        for request in requests(token) {
            let answer = envoy.open(&request)?;
            sent += 1;
            if token == TOKEN {
                ensure!(answer.status() < 400, "a good token was refused: {request:?}");
            } else {
                let response = answer.finish()?;
                ensure!((400..500).contains(&response.status), "status {}", response.status);
                shown.push(("a refusal", format!("{:?} {}", response.headers, response.text())));
            }
        }
    }
    // What could not be parsed as a request at all, and a path with a token in the wrong place.
    for request in [
        Request::get(format!("/v1/../{UNKNOWN}")).bearer(UNKNOWN),
        Request::get(format!("/v1/{UNKNOWN}")).bearer(EXPIRED),
        Request::get("/v1/models").bearer(TOKEN).bearer(UNKNOWN),
    ] {
        shown.push(("a refusal", format!("{:?}", envoy.send(&request)?)));
    }
    for page in
        ["/config_dump?include_eds", "/stats", "/stats/prometheus", "/clusters", "/listeners", "/server_info"]
    {
        shown.push((page, envoy.admin(page)?));
    }
    let access_log = envoy.access_log(sent)?;
    // The path is logged without its query; the one request above that had a token as its path is the caller's doing.
    let lines: Vec<String> = access_log
        .iter()
        .map(Value::to_string)
        .filter(|line| !line.contains(&format!("/{UNKNOWN}\"")))
        .collect();
    shown.push(("the access log", lines.join("\n")));
    let log = envoy.log();
    ensure!(log.contains("\"reason\":\"token_expired\""), "the log has no refusals:\n{log}");
    let filter_lines: Vec<&str> = log.lines().filter(|line| line.contains("wasm log")).collect();
    shown.push(("the filter's log", filter_lines.join("\n")));

    for (place, text) in &shown {
        for sentinel in [TOKEN, EXPIRED, UNKNOWN].into_iter().chain(SECRETS.map(|(_, value)| value)) {
            ensure!(!text.contains(sentinel), "`{sentinel}` shows in {place}:\n{text}");
        }
    }
    Ok(())
}

#[test]
fn an_upstream_sees_the_real_credential_once_and_the_token_never() -> Result<()> {
    let standin = Standin::start()?;
    let mut setup = Envoy::with(&policy()).upstream(&standin);
    for (name, value) in SECRETS {
        setup = setup.env(name, value);
    }
    let envoy = setup.start()?;
    for request in requests(TOKEN) {
        ensure!(envoy.open(&request)?.status() < 400, "a good token was refused: {request:?}");
        let received = standin.take();
        let [upstream] = received.as_slice() else { anyhow::bail!("one request became {}", received.len()) };
        let credentials = upstream.credentials();
        let gateway: Vec<_> = credentials.iter().filter(|it| it.contains("sentinel-gateway-216a")).collect();
        ensure!(gateway == ["cf-aig-authorization: Bearer sentinel-gateway-216a"], "{credentials:?}");
        let connection = upstream.header("connection");
        ensure!(
            connection.is_none_or(|it| it == "upgrade"),
            "a header may be dropped on the way: {connection:?}"
        );
        ensure!(credentials.len() == 2, "not exactly one provider credential: {credentials:?}");
    }
    let wire = standin.wire();
    for sentinel in [TOKEN, &TOKEN.replace('-', "%2D")] {
        ensure!(
            !wire.windows(sentinel.len()).any(|window| window == sentinel.as_bytes()),
            "`{sentinel}` went over the wire to the upstream"
        );
    }
    Ok(())
}
