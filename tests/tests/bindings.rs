//! Bindings in Envoy with a registry: each team's requests reach the upstream with the team's own key.

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Registry, Request, Standin, Testbed, until};
use serde_json::{Value, json};

const KEYS: [(&str, &str); 2] = [("KEY_OF_RESEARCH", "sk-of-research"), ("KEY_OF_SALES", "sk-of-sales")];

fn policy() -> Value {
    let mut policy = Testbed::registry_policy();
    policy["credentials"] =
        json!({"research": [{"env": "KEY_OF_RESEARCH"}], "sales": [{"env": "KEY_OF_SALES"}]});
    policy["providers"] =
        json!({"openai": {"bindings": {"teams": {"research": "research", "sales": "sales"}}}});
    policy
}

/// Returns the request by which a caller lists the files of an account, and claims another team on the way.
fn files(token: &str) -> Request {
    Request::get("/v1/files?team=sales").bearer(token).header("x-keyswap-team", "sales")
}

#[test]
fn two_teams_have_two_keys_and_a_token_that_moves_takes_the_key_of_its_new_team() -> Result<()> {
    let (registry, standin) = (Registry::start()?, Standin::start()?);
    let setup = Envoy::with(&policy()).env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token());
    let setup = KEYS.iter().fold(setup, |setup, (name, value)| setup.env(name, value));
    let envoy = setup.upstream(&standin).registry(registry.address()).concurrency(2).start()?;
    let create = |label: &str, team: Value| -> Result<String> {
        let new = json!({"label": label, "team": team, "providers": ["openai:files"]});
        let created = registry.create_token(&new)?;
        Ok(created["token"].as_str().unwrap_or_default().to_owned())
    };
    let (ada, bob) = (create("ada", json!("research"))?, create("bob", json!("sales"))?);
    let nobody = create("sales", Value::Null)?;
    // Enough connections to reach every worker.
    let keys = |token: &str| -> Result<Vec<String>> {
        standin.take();
        let answers = envoy.burst(&vec![files(token); 40])?;
        ensure!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let received = standin.take();
        let keys = received.iter().filter_map(|request| request.header("authorization").map(str::to_owned));
        Ok(keys.collect())
    };
    let all = |key: &str| vec![format!("Bearer {key}"); 40];
    ensure!(keys(&ada)? == all("sk-of-research") && keys(&bob)? == all("sk-of-sales"));
    let refused = envoy.send(&files(&nobody))?;
    ensure!(refused.status == 403, "{refused:?}");
    ensure!(refused.header("x-keyswap-reason") == Some("upstream_credential_unbound"), "{refused:?}");

    let path = format!("/tokens/{}", Digest::of(ada.as_bytes()).to_hex());
    registry.admin("PATCH", &path, &json!({"team": "sales"}))?;
    until("the token has the key of its new team on every worker", || Ok(keys(&ada)? == all("sk-of-sales")))?;
    ensure!(keys(&bob)? == all("sk-of-sales"));
    // Out of every team it has no key at all.
    registry.admin("PATCH", &path, &json!({"team": null}))?;
    until("the token has no key", || {
        let answers = envoy.burst(&vec![files(&ada); 40])?;
        Ok(answers.iter().all(|answer| answer.status == 403))
    })?;
    Ok(())
}
