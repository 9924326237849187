//! Calls from browsers: every answer names the page that may read it, in answers of Keyswap and of upstreams.

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Request, Response, Setup, Standin};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_of-a-page";
const ORIGIN: &str = "https://app.example.com";

fn setup(cors: &Value) -> Setup {
    let mut policy = json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"],
            "rate_limit": {"requests": 2, "per": "1h"},
        }],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    if !cors.is_null() {
        policy["cors"] = cors.clone();
    }
    Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real")
}

fn values<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let values = response.headers.iter().filter(|(header, _)| header == name);
    values.filter_map(|(_, value)| str::from_utf8(value).ok()).collect()
}

fn is_readable_by(response: &Response, origin: &str) -> bool {
    values(response, "access-control-allow-origin") == [origin]
        && values(response, "vary").iter().any(|value| value.contains("Origin"))
        && values(response, "access-control-expose-headers").iter().any(|it| it.contains("x-goog-upload-url"))
        && values(response, "access-control-allow-credentials").is_empty()
}

#[test]
fn every_answer_to_a_page_can_be_read_by_it_also_a_refusal_and_one_of_envoys_own() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&Value::Null).upstream(&standin).start()?;
    let page = |request: Request| request.header("origin", ORIGIN);
    let models = || Request::get("/v1/models").bearer(TOKEN);
    for (request, status) in [
        (page(models()), 200),
        (page(Request::get("/v1/models")), 401),
        (page(Request::get("/v1/../models").bearer(TOKEN)), 400),
        (page(Request::new("TRACE", "/v1/models")), 405),
        (page(Request::get("/v1beta/models").bearer(TOKEN)), 403),
        (page(models()), 200),
        (page(models()), 429),
    ] {
        let answer = envoy.send(&request)?;
        ensure!(answer.status == status, "{} instead of {status}", answer.status);
        ensure!(is_readable_by(&answer, ORIGIN), "{status}: {:?}", answer.headers);
    }
    let address = Standin::start()?.address();
    let unreachable = setup(&Value::Null).upstream(&standin).tweak(|bootstrap| {
        let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
        for cluster in clusters.into_iter().flatten() {
            cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
                ["socket_address"]["port_value"] = address.port().into();
        }
    });
    let answer = unreachable.start()?.send(&page(models()))?;
    ensure!(answer.status == 502 && is_readable_by(&answer, ORIGIN), "{answer:?}");
    Ok(())
}

#[test]
fn an_answer_to_no_page_or_to_another_one_says_nothing() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&json!({"allow_origins": [ORIGIN]})).upstream(&standin).start()?;
    let silent = |answer: &Response| {
        let of_cors = |name: &str| name.starts_with("access-control-");
        !answer.headers.iter().any(|(name, _)| of_cors(name))
    };
    let plain = envoy.send(&Request::get("/v1/models").bearer(TOKEN))?;
    ensure!(plain.status == 200 && silent(&plain) && values(&plain, "vary").is_empty(), "{plain:?}");
    let other = Request::get("/v1/models").header("origin", "https://evil.example");
    let other = envoy.send(&other)?;
    ensure!(silent(&other) && values(&other, "vary") == ["Origin"], "{other:?}");
    let twice = Request::get("/v1/models").header("origin", ORIGIN).header("origin", "https://evil.example");
    ensure!(silent(&envoy.send(&twice)?));
    Ok(())
}
