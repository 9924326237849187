//! `envoy/ratelimit.yaml`: one budget for a fleet, in a rate limit service that counts by the token's id.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, RateLimitService, Request, Setup, Standin, TOKEN, Testbed};
use serde_json::{Value, json};

const LIMIT: u32 = 5;
const OTHER: &str = "ptk_of-another-0123456789abcdefghijklmn";

fn setup(standin: &Standin, service: &RateLimitService) -> Setup {
    let mut policy = Testbed::policy();
    let mut other = policy["tokens"][0].clone();
    other["sha256"] = json!(Digest::of(OTHER.as_bytes()).to_hex());
    other["label"] = json!("another");
    if let Some(tokens) = policy["tokens"].as_array_mut() {
        tokens.push(other);
    }
    Testbed::setup_with(&policy, standin)
        .overlay("ratelimit.yaml")
        .tweak(|bootstrap| place(bootstrap, service))
}

/// Replaces `ratelimit.internal` in the file with the service.
fn place(bootstrap: &mut Value, service: &RateLimitService) {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    let cluster = clusters.into_iter().flatten().find(|cluster| cluster["name"] == "ratelimit");
    let cluster = cluster.expect("the bootstrap has the cluster `ratelimit`");
    let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
    let address = service.address();
    endpoint["address"]["socket_address"] =
        json!({"address": address.ip().to_string(), "port_value": address.port()});
}

fn statuses(envoys: &[Envoy], token: &str, count: usize) -> Result<HashMap<u16, usize>> {
    let mut statuses = HashMap::new();
    for envoy in envoys.iter().cycle().take(count) {
        *statuses.entry(envoy.send(&Request::get("/v1/models").bearer(token))?.status).or_default() += 1;
    }
    Ok(statuses)
}

#[test]
fn each_token_has_one_budget_for_all_envoys() -> Result<()> {
    let (standin, service) = (Standin::start()?, RateLimitService::start(LIMIT)?);
    let envoys = [setup(&standin, &service).start()?, setup(&standin, &service).start()?];
    for token in [TOKEN, OTHER] {
        let statuses = statuses(&envoys, token, 8)?;
        ensure!(statuses == HashMap::from([(200, 5), (429, 3)]), "{statuses:?}");
        ensure!(standin.take().len() == 5, "a limited request reached the upstream");
    }
    let limited = envoys[0].send(&Request::get("/v1/models").bearer(TOKEN))?;
    ensure!((limited.status, limited.body.len()) == (429, 0), "{limited:?}");
    ensure!(limited.header("x-envoy-ratelimited") == Some("true"), "{limited:?}");
    let descriptor = |token: &str| format!("principal={}", &Digest::of(token.as_bytes()).to_hex()[..16]);
    let counts = service.counts();
    ensure!(counts == [(descriptor(TOKEN), 9), (descriptor(OTHER), 8)].into(), "{counts:?}");
    Ok(())
}

#[test]
fn a_refused_request_counts_for_nobody() -> Result<()> {
    let (standin, service) = (Standin::start()?, RateLimitService::start(LIMIT)?);
    let envoy = setup(&standin, &service).start()?;
    let statuses = statuses(&[envoy], "ptk_nobody-0123456789abcdefghijklmnop", 8)?;
    ensure!(statuses == HashMap::from([(401, 8)]), "{statuses:?}");
    ensure!(service.counts().is_empty(), "{:?}", service.counts());
    Ok(())
}

#[test]
fn a_service_that_is_gone_lets_requests_pass() -> Result<()> {
    let (standin, service) = (Standin::start()?, RateLimitService::start(0)?);
    let envoys = [setup(&standin, &service).start()?];
    ensure!(statuses(&envoys, TOKEN, 1)? == HashMap::from([(429, 1)]));
    drop(service);
    let statuses = statuses(&envoys, TOKEN, 3)?;
    ensure!(statuses == HashMap::from([(200, 3)]), "{statuses:?}");
    Ok(())
}
