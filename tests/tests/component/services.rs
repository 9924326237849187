//! Faulty registries and issuers: the component answers like the filter in Envoy (`lookups`, `issuer_keys`).

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    Call, Issuer, Request, Response, Script, Scripted, SigningKey, Standin, Testbed, Wasmtime, WasmtimeSetup,
    faults, releases, unix_now, until,
};
use serde_json::{Value, json};

use crate::KEY;

const GOOD: &str = "ptk_looked-up-and-good";
const UNAVAILABLE: &str = "503 issuer_keys_unavailable";

fn digest(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

fn record(digest: &str) -> Vec<u8> {
    let record = json!({"sha256": digest, "label": "good", "providers": ["openai"], "version": 1});
    record.to_string().into_bytes()
}

/// Answers like a registry that knows every token.
fn healthy(call: &Call) -> Script {
    match call.target.strip_prefix("/v1/tokens/") {
        Some(digest) => Script::answer(200, record(digest)),
        None if call.target == "/v1/usage" => Script::answer(204, ""),
        None => {
            Script::answer(200, r#"{"sequence":1,"history":"00000000000000aa","reset":false,"changes":[]}"#)
        }
    }
}

fn in_front_of(registry: &Scripted, standin: &Standin) -> Result<Wasmtime> {
    set_up_for(registry, standin).start()
}

fn set_up_for(registry: &Scripted, standin: &Standin) -> WasmtimeSetup {
    Wasmtime::with(&Testbed::registry_policy())
        .env("OPENAI_API_KEY", KEY)
        .env("KEYSWAP_REGISTRY_TOKEN", "the-registry-token-of-a-test")
        .upstream(standin)
        .registry(registry.address())
}

fn models(token: &str) -> Request {
    Request::get("/v1/models").bearer(token)
}

fn is_unavailable(response: &Response) -> bool {
    response.verdict() == "503 token_store_unavailable" && response.header("retry-after") == Some("1")
}

/// Cached tokens stay accepted. The number of instances, each with its own cache, is up to the host.
#[test]
fn a_registry_that_is_of_no_help_lets_nobody_new_in() -> Result<()> {
    bears_faults(registry_faults(), |setup| setup)
}

#[test]
fn in_the_oldest_wasmtime_too_a_registry_that_is_of_no_help_lets_nobody_new_in() -> Result<()> {
    bears_faults(faults::of_each_kind(registry_faults()), |setup| setup.on(&releases::OLDEST_WASMTIME))
}

fn registry_faults() -> Vec<(&'static str, Script)> {
    faults::of_registry(&digest(GOOD), &record(&digest("ptk_somebody-else")))
}

fn bears_faults(
    faults: Vec<(&'static str, Script)>,
    change: fn(WasmtimeSetup) -> WasmtimeSetup,
) -> Result<()> {
    let standin = Standin::start()?;
    for (fault, script) in faults {
        let registry =
            Scripted::start(
                move |call| {
                    if call.target.contains("/tokens/") { script.clone() } else { healthy(call) }
                },
            )?;
        let wasmtime = change(set_up_for(&registry, &standin)).start()?;
        standin.take();
        for number in 0..8 {
            let started = Instant::now();
            let answer = wasmtime.send(&models(&format!("ptk_nobody-knows-{number}")))?;
            ensure!(is_unavailable(&answer), "while {fault}: {} {}", answer.status, answer.text());
            ensure!(started.elapsed() < Duration::from_secs(5), "while {fault}: {:?}", started.elapsed());
        }
        ensure!(standin.take().is_empty(), "while {fault}: a request went on");
        let calls = registry.count("/v1/tokens/");
        ensure!(calls <= 8, "while {fault}: {calls} calls");
        registry.now(healthy);
        until("the registry is back", || Ok(wasmtime.send(&models(GOOD))?.status == 200))?;
    }
    Ok(())
}

#[test]
fn a_registry_that_is_not_there_is_answered_at_once() -> Result<()> {
    let standin = Standin::start()?;
    let gone = Scripted::start(healthy)?;
    let wasmtime = in_front_of(&gone, &standin)?;
    drop(gone);
    for _ in 0..3 {
        ensure!(is_unavailable(&wasmtime.send(&models(GOOD))?));
    }
    ensure!(standin.take().is_empty(), "a request went on");
    Ok(())
}

/// Returns an entry of `issuers` whose keys are at `server`.
fn issuer(name: &str, server: &Scripted) -> Value {
    json!({
        "name": name, "preset": "oidc", "issuer": url(name), "audiences": ["keyswap"], "principals": "any",
        "providers": ["openai"],
        "jwks": {"url": format!("http://{}/jwks", server.address()), "timeout": "500ms", "refetch_cooldown": "1s"},
    })
}

fn url(name: &str) -> String {
    format!("https://{name}.example")
}

fn signed(key: &SigningKey, issuer: &str) -> Result<Request> {
    let claims = json!({"iss": url(issuer), "aud": "keyswap", "sub": "robot", "exp": unix_now() + 300});
    Ok(models(&key.sign(&claims)?))
}

#[test]
fn an_issuer_of_no_help_lets_nobody_in_until_its_keys_are_to_be_had() -> Result<()> {
    let key = SigningKey::p256("key")?;
    let attacker = Scripted::start(|_| Script::answer(200, "{}"))?;
    let standin = Standin::start()?;
    let mut issuers = Vec::new();
    for (name, script) in faults::of_issuer(&attacker) {
        let issuer = Issuer::start(&url(name), &[&key])?;
        issuer.server().now(move |_| script.clone());
        issuers.push((name, issuer));
    }
    let entries: Vec<Value> = issuers.iter().map(|(name, it)| issuer(name, it.server())).collect();
    let policy = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": entries,
    });
    let wasmtime = Wasmtime::with(&policy).env("OPENAI_API_KEY", KEY).upstream(&standin).start()?;
    for (name, _) in &issuers {
        for _ in 0..5 {
            let started = Instant::now();
            let response = wasmtime.send(&signed(&key, name)?)?;
            ensure!(response.verdict() == UNAVAILABLE, "it {name}: {}", response.verdict());
            ensure!(response.header("retry-after") == Some("1"), "it {name}: {response:?}");
            ensure!(started.elapsed() < Duration::from_secs(3), "it {name}: {:?}", started.elapsed());
        }
    }
    ensure!(standin.take().is_empty(), "a request went on");
    ensure!(attacker.calls().is_empty(), "a redirect was followed");
    for (name, issuer) in &issuers {
        issuer.publish(&[&key]);
        until(name, || Ok(wasmtime.send(&signed(&key, name)?)?.verdict() == "200"))?;
    }
    Ok(())
}
