//! Candidates, and fetched policies, in a host whose instances share no memory and may serve only one request.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::services::BUNDLE_TYPE;
use keyswap_tests::{Script, Scripted, SigningKey, Standin, Wasmtime, WasmtimeSetup, until};
use serde_json::{Value, json};

use crate::{KEY, models, policy};

/// Returns the policy of these tests, changed so that its token may not call OpenAI.
fn strict() -> Value {
    let mut policy = policy();
    policy["tokens"][0]["providers"] = json!(["anthropic"]);
    policy["credentials"]["anthropic"] = json!([{"env": "OPENAI_API_KEY"}]);
    policy
}

/// Replaces OpenAI's address in a policy with the stand-in's.
fn at(mut policy: Value, standin: &Standin) -> Result<Value> {
    policy["providers"] = json!({"openai": {"url": format!("http://{}", standin.plain("api.openai.com")?)}});
    Ok(policy)
}

fn start(configuration: &Value) -> Result<Wasmtime> {
    setup(configuration).start()
}

fn setup(configuration: &Value) -> WasmtimeSetup {
    Wasmtime::with(configuration)
        .env("OPENAI_API_KEY", KEY)
        .env("KEYSWAP_REGISTRY_TOKEN", "the-registry-token-of-a-test")
        .env("KEYSWAP_NODE", "wasmtime-1")
}

#[test]
fn a_candidate_decides_for_its_share_and_every_difference_is_told() -> Result<()> {
    let standin = Standin::start()?;
    let rollout = |percent: u8| -> Result<Value> {
        Ok(json!({
            "version": "keyswap-rollout/v1", "percent": percent,
            "stable": at(policy(), &standin)?, "candidate": at(strict(), &standin)?,
        }))
    };
    for (percent, expected) in [(0, "200"), (100, "403 provider_not_allowed")] {
        let wasmtime = start(&rollout(percent)?)?;
        ensure!(wasmtime.send(&models())?.verdict() == expected, "at {percent} %");
        wasmtime.until_logged("diverged")?;
        let log = wasmtime.log();
        ensure!(log.contains("alice-laptop") && !log.contains(crate::TOKEN), "{log}");
    }
    Ok(())
}

#[test]
fn a_comparison_delays_nobody() -> Result<()> {
    let standin = Standin::start()?;
    let registry =
        Scripted::start(|_| Script::After(Duration::from_secs(3), Box::new(Script::answer(404, "{}"))))?;
    let mut candidate = at(policy(), &standin)?;
    candidate["tokens"] = json!([]);
    candidate["registry"] = json!({
        "url": format!("http://{}", registry.address()), "timeout": "5s",
        "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
    });
    let rollout = json!({
        "version": "keyswap-rollout/v1", "stable": at(policy(), &standin)?, "candidate": candidate,
    });
    let wasmtime = start(&rollout)?;
    let started = Instant::now();
    ensure!(wasmtime.send(&models())?.status == 200);
    ensure!(started.elapsed() < Duration::from_secs(2), "it took {:?}", started.elapsed());
    wasmtime.until_logged("diverged")
}

#[test]
fn what_this_host_cannot_do_for_a_rollout_is_an_error() -> Result<()> {
    let standin = Standin::start()?;
    let mut shadow = at(policy(), &standin)?;
    shadow["mode"] = json!("shadow");
    let fallback = json!({
        "version": "keyswap-rollout/v1", "stable": at(policy(), &standin)?, "candidate": at(strict(), &standin)?,
        "percent": 10, "fallback": {"refusals": 3, "per": "1m"},
    });
    for (configuration, said) in [
        (shadow, "error at `mode`: this host cannot let a request pass"),
        (fallback, "error at `fallback`: this host has no shared memory"),
    ] {
        let wasmtime = start(&configuration)?;
        ensure!(wasmtime.send(&models())?.verdict() == "503 host_failure");
        wasmtime.until_logged(said)?;
    }
    ensure!(standin.take().is_empty(), "a request went on");
    Ok(())
}

/// Returns the answer of a registry with one revision of a policy.
fn publish(key: &SigningKey, revision: u64, policy: &Value) -> Result<Script> {
    let mut header = key.header();
    header["typ"] = json!(BUNDLE_TYPE);
    let payload = json!({"name": "prod", "revision": revision, "policy": policy});
    Ok(Script::answer(200, key.sign_raw(&header.to_string(), payload.to_string())?))
}

fn bundle(key: &SigningKey, registry: &Scripted) -> Value {
    json!({
        "version": "keyswap-bundle/v1", "name": "prod", "poll": "1s",
        "url": format!("http://{}", registry.address()), "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"},
        "keys": {"keys": [key.jwk()]},
    })
}

#[test]
fn a_policy_is_fetched_replaced_and_reported() -> Result<()> {
    let (key, other) = (SigningKey::p256("policies")?, SigningKey::p256("policies")?);
    let standin = Standin::start()?;
    let registry = Scripted::start(|_| Script::answer(404, "{}"))?;
    let wasmtime = start(&bundle(&key, &registry))?;
    let ask = || wasmtime.send(&models()).map(|response| response.verdict());
    ensure!(ask()? == "503 policy_unavailable" && standin.take().is_empty());

    let first = publish(&key, 1, &at(policy(), &standin)?)?;
    registry.now(move |_| first.clone());
    until("the first revision serves", || Ok(ask()? == "200"))?;
    let forged = publish(&other, 2, &at(strict(), &standin)?)?;
    registry.now(move |_| forged.clone());
    until("another is refused", || {
        // A new instance of the host has no policy yet.
        let found = ask()?;
        ensure!(found == "200" || found == "503 policy_unavailable", "what nobody signed decides: {found}");
        Ok(wasmtime.log().contains("no key of the configuration has signed it"))
    })?;

    let second = publish(&key, 2, &at(strict(), &standin)?)?;
    registry.now(move |_| second.clone());
    until("the second revision serves", || Ok(ask()? == "403 provider_not_allowed"))?;
    until("it is reported", || {
        ask()?;
        Ok(registry.count("/v1/policies/prod?plane=wasmtime-1&running=2") > 0)
    })?;
    let calls = registry.calls();
    let credential = ("authorization".to_owned(), "Bearer the-registry-token-of-a-test".to_owned());
    ensure!(calls.iter().all(|call| call.headers.contains(&credential)), "{calls:?}");
    Ok(())
}

#[test]
fn where_an_instance_serves_one_request_the_policy_is_the_fetched_one_too() -> Result<()> {
    let key = SigningKey::p256("policies")?;
    let standin = Standin::start()?;
    let first = publish(&key, 1, &at(policy(), &standin)?)?;
    let registry = Scripted::start(move |_| first.clone())?;
    let mut configuration = bundle(&key, &registry);
    configuration["initial"] = at(strict(), &standin)?;
    let wasmtime = setup(&configuration).instances_for_one_request().start()?;
    for _ in 0..3 {
        ensure!(wasmtime.send(&models())?.verdict() == "200");
    }
    ensure!(registry.count("/v1/policies/prod") >= 3, "an instance served more than one request");
    // Without the registry the initial policy decides.
    drop(registry);
    ensure!(wasmtime.send(&models())?.verdict() == "403 provider_not_allowed");
    standin.take().first().map(drop).context("nothing was forwarded")
}
