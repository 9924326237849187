//! The registry of the testbed, including stops and restarts.

use anyhow::Result;
use keyswap_tests::{Registry, Request};
use serde_json::{Value, json};

#[test]
fn a_registry_that_was_killed_or_stopped_comes_back_with_its_tokens() -> Result<()> {
    let mut registry = Registry::start()?;
    let address = registry.address();
    let created = registry.create_token(&json!({"label": "ci", "providers": ["openai"]}))?;
    let path = format!("/tokens/{}", created["record"]["sha256"].as_str().unwrap_or_default());
    let lookup = Request::get(format!("/v1{path}")).bearer(registry.registry_token());
    assert_eq!(registry.send(&lookup)?.status, 200);

    registry.kill();
    assert!(registry.send(&lookup).is_err());
    registry.restart()?;
    registry.admin("PATCH", &path, &json!({"status": "disabled"}))?;
    registry.stop()?;
    assert!(registry.send(&lookup).is_err());
    registry.restart()?;
    assert_eq!(registry.send(&lookup)?.json()?["status"], "disabled");
    assert_eq!(registry.address(), address);
    registry.admin("DELETE", &path, &Value::Null)?;
    assert_eq!(registry.send(&lookup)?.status, 404);
    assert!(registry.ended()?.is_none());
    Ok(())
}

#[test]
fn registries_share_a_database_and_the_first_one_may_make_the_password() -> Result<()> {
    let first = Registry::setup().first_password().start()?;
    let created = first.create_token(&json!({"label": "ci", "providers": ["openai"]}))?;
    // The other password replaces the first one, so the registry has the same database.
    let second = Registry::setup().database(first.database()).start()?;
    let path = format!("/tokens/{}", created["record"]["sha256"].as_str().unwrap_or_default());
    assert_eq!(second.admin("GET", &path, &Value::Null)?, created["record"]);
    assert!(first.admin("GET", &path, &Value::Null).is_err(), "a new password ends all sessions");
    Ok(())
}
