//! Envoy's connections to the registry: Envoy closes idle ones before the registry does.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Bootstrap, Envoy, Registry, Request, Standin, Testbed};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
const CLOSED_BY_ENVOY: &str = "cluster.keyswap-registry.upstream_cx_idle_timeout";
const CLOSED_BY_REGISTRY: &str = "cluster.keyswap-registry.upstream_cx_destroy_remote";

/// Returns the shipped timeout of idle connections.
fn idle_timeout(bootstrap: &mut Value) -> Result<&mut Value> {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    let registry = clusters.into_iter().flatten().find(|cluster| cluster["name"] == "keyswap-registry");
    let options = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let place = format!("{options}/common_http_protocol_options/idle_timeout");
    registry.and_then(|registry| registry.pointer_mut(&place)).context("the shipped file has no idle time")
}

fn start(registry: &Registry, standin: &Standin, idle: &str) -> Result<Envoy> {
    let mut found = Ok(());
    let setup = Envoy::with(&Testbed::registry_policy())
        .env("OPENAI_API_KEY", "sk-real")
        .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
        .upstream(standin)
        .registry(registry.address())
        .tweak(|bootstrap| found = idle_timeout(bootstrap).map(|place| *place = json!(idle)));
    found?;
    setup.start()
}

/// Sends a request with a new token, which Envoy must look up.
fn look_up(registry: &Registry, envoy: &Envoy, label: &str) -> Result<()> {
    let created = registry.create_token(&json!({"label": label, "providers": ["openai"]}))?;
    let token = created["token"].as_str().context("a token is shown once")?;
    let response = envoy.send(&Request::get("/v1/models").bearer(token))?;
    ensure!(response.status == 200, "{label}: {} {}", response.status, response.text());
    Ok(())
}

/// Waits until a statistic exceeds `before`.
fn until_above(before: u64, envoy: &Envoy, stat: &str) -> Result<()> {
    let started = Instant::now();
    while envoy.stat(stat)? <= before {
        ensure!(
            started.elapsed() < PATIENCE,
            "{stat} stays at {before}:\n{}",
            envoy.admin("/stats?filter=upstream_cx")?
        );
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn an_idle_connection_is_closed_by_envoy_first_and_the_next_lookup_takes_another() -> Result<()> {
    let standin = Standin::start()?;
    let registry = Registry::setup().arguments(&["--client-timeout", "20s"]).start()?;
    let envoy = start(&registry, &standin, "0.5s")?;
    for label in ["first", "second", "third"] {
        let before = envoy.stat(CLOSED_BY_ENVOY)?;
        look_up(&registry, &envoy, label)?;
        until_above(before, &envoy, CLOSED_BY_ENVOY)?;
    }
    ensure!(envoy.stat(CLOSED_BY_REGISTRY)? == 0);
    Ok(())
}

#[test]
fn a_registry_closes_what_is_idle_for_longer_than_its_client_timeout() -> Result<()> {
    let standin = Standin::start()?;
    let registry = Registry::setup().arguments(&["--client-timeout", "1s"]).start()?;
    let envoy = start(&registry, &standin, "3600s")?;
    look_up(&registry, &envoy, "first")?;
    until_above(0, &envoy, CLOSED_BY_REGISTRY)
}

#[test]
fn the_shipped_idle_time_is_below_what_the_registry_allows() -> Result<()> {
    let shipped = idle_timeout(Bootstrap::shipped()?.json())?.clone();
    ensure!(shipped == "10s", "{shipped}: half of the 20s that `--client-timeout` is unless it is said");
    Ok(())
}
