//! A registry that was restored from a backup. Data planes see that it has another history, and miss no change of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Envoy, Registry, Request, Standin, Testbed, until};
use serde_json::{Value, json};

/// Returns the files of a SQLite database that no process has open, with their contents.
fn files(registry: &Registry) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let database = Path::new(registry.database().strip_prefix("sqlite://").context("it is SQLite")?);
    let mut files = Vec::new();
    for end in ["", "-wal", "-shm"] {
        let mut file = database.as_os_str().to_owned();
        file.push(end);
        if let Ok(content) = std::fs::read(&file) {
            files.push((file.into(), content));
        }
    }
    Ok(files)
}

#[test]
fn a_revocation_after_a_restore_is_heard_although_as_many_changes_were_made_as_before() -> Result<()> {
    let mut registry = Registry::start()?;
    let standin = Standin::start()?;
    let mut policy = Testbed::registry_policy();
    policy["registry"]["cache"] = json!({"positive": "1h"});
    let envoy = Envoy::with(&policy)
        .env("OPENAI_API_KEY", "sk-real")
        .env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token())
        .upstream(&standin)
        .registry(registry.address())
        .start()?;
    let [good, kept, witness] = ["good", "kept", "witness"].map(|label| {
        let created = registry.create_token(&json!({"label": label, "providers": ["openai"]}))?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        anyhow::Ok((text(&created["token"]), format!("/tokens/{}", text(&created["record"]["sha256"]))))
    });
    let ((good, good_path), (kept, _), (witness, witness_path)) = (good?, kept?, witness?);
    let ask = |token: &str| anyhow::Ok(envoy.send(&Request::get("/v1/models").bearer(token))?.status);
    let disable = |registry: &Registry, path: &str| {
        registry.admin("PATCH", path, &json!({"status": "disabled"})).map(drop)
    };

    registry.stop()?;
    let backup = files(&registry)?;
    registry.restart()?;
    until("all are served", || Ok([ask(&good)?, ask(&kept)?, ask(&witness)?] == [200; 3]))?;
    // The change that the restore loses: the data plane has followed it.
    disable(&registry, &witness_path)?;
    until("the change is heard", || Ok(ask(&witness)? == 401))?;
    ensure!(ask(&good)? == 200, "it is cached for an hour");

    registry.stop()?;
    for (file, _) in files(&registry)? {
        std::fs::remove_file(file)?;
    }
    for (file, content) in &backup {
        std::fs::write(file, content)?;
    }
    // One change takes the number of the lost one before any data plane asks again.
    let mut beside = Registry::setup().database(registry.database()).start()?;
    disable(&beside, &good_path)?;
    beside.stop()?;
    registry.restart()?;

    until("the revoked token is refused", || Ok(ask(&good)? == 401))?;
    until("what the backup has is served", || Ok([ask(&kept)?, ask(&witness)?] == [200; 2]))?;
    Ok(())
}
