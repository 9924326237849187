//! The calls that the filter makes for a request, as Envoy logs them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Request, Standin, TOKEN, tools::project_root, until, with};
use serde_json::{Value, json};

/// The page with the table of calls.
const PAGE: &str = "docs/operate/performance.md";
/// The most calls for a warm request that is allowed: of a policy with a rate limit, and of one without it that sets no values
/// for access logs.
const MOST: [usize; 2] = [14, 10];

/// The calls by their names.
type Calls = BTreeMap<String, usize>;

fn policy(limit: &Value, more: &Value) -> Value {
    let token =
        json!({"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"]});
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": [with(&token, limit)],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    });
    with(&policy, more)
}

/// Returns the calls for a request like others before it.
fn calls(policy: &Value) -> Result<Calls> {
    let standin = Standin::start()?;
    let setup = Envoy::with(policy).env("OPENAI_API_KEY", "sk-real").upstream(&standin);
    let envoy = setup.filter_log_level("trace").start()?;
    let request = Request::get("/v1/models").bearer(TOKEN);
    for _ in 0..2 {
        ensure!(envoy.send(&request)?.status == 200);
    }
    let before = envoy.log().len();
    ensure!(envoy.send(&request)?.status == 200);
    let mut log = String::new();
    until("the stream has ended", || {
        log = envoy.log().split_off(before);
        Ok(log.contains("[host<-vm] proxy_on_delete"))
    })?;
    let mut calls = Calls::new();
    // Ticks come between the hooks of a stream, and their calls are for no request.
    let mut is_tick = false;
    for line in log.lines() {
        is_tick = (is_tick || line.contains("[host->vm] proxy_on_tick"))
            && !line.contains("[host<-vm] proxy_on_tick");
        if let Some((_, call)) = line.split_once("[vm->host] env.proxy_").filter(|_| !is_tick) {
            let (name, _) = call.split_once('(').context("a call has arguments")?;
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    Ok(calls)
}

/// Returns a column of the table.
fn column(page: &str, number: usize) -> Result<Calls> {
    let (_, table) = page.split_once("| call |").context("a table of calls")?;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut calls = Calls::new();
    for row in rows {
        let fields: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, with_all, with_little, _reason, _] = fields[..] else { anyhow::bail!("`{row}`") };
        let times: usize = [with_all, with_little][number].parse().with_context(|| row.to_owned())?;
        if times > 0 {
            calls.insert(name.trim_matches('`').to_owned(), times);
        }
    }
    Ok(calls)
}

#[test]
fn a_policy_with_client_certificates_asks_for_none_where_a_token_comes() -> Result<()> {
    let page = std::fs::read_to_string(project_root().join(PAGE))?;
    let entry = json!({"name": "mesh", "trust_domain": "example.org", "providers": ["openai"]});
    let calls = calls(&policy(&json!({}), &json!({"access_log": "none", "client_certificates": [entry]})))?;
    ensure!(calls == column(&page, 1)?, "{calls:#?}");
    Ok(())
}

#[test]
fn a_warm_request_takes_the_calls_that_the_book_lists_and_few_of_them() -> Result<()> {
    let page = std::fs::read_to_string(project_root().join(PAGE))?;
    let limit = json!({"rate_limit": {"requests": 100, "per": "60s"}});
    let policies = [policy(&limit, &json!({})), policy(&json!({}), &json!({"access_log": "none"}))];
    for (number, (policy, most)) in policies.iter().zip(MOST).enumerate() {
        let calls = calls(policy)?;
        let count: usize = calls.values().sum();
        ensure!(count <= most, "{count} calls: {calls:#?}");
        ensure!(calls == column(&page, number)?, "{PAGE} has other calls than {calls:#?}");
    }
    Ok(())
}
