//! Upstream credentials in files, which the dynamic module reads again while it serves.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};
use keyswap_tests::{Request, Setup, Standin, TOKEN, Testbed, under_load, until, until_within};
use serde_json::{Value, json};

/// The time in which a new value must reach every request.
const REACHES: Duration = Duration::from_secs(5);

/// A folder of secrets, with one for OpenAI.
struct Secrets(tempfile::TempDir);

impl Secrets {
    fn new(value: &str) -> Result<Self> {
        let secrets = Self(tempfile::tempdir()?);
        secrets.rotate(value)?;
        Ok(secrets)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("openai")
    }

    /// Puts another file in the place of the one that is there.
    fn rotate(&self, value: &str) -> Result<()> {
        let new = self.0.path().join("openai.new");
        fs::write(&new, value)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        Ok(fs::rename(new, self.file())?)
    }

    fn setup(&self, file: &Path, standin: &Standin) -> Setup {
        let mut policy = Testbed::policy();
        policy["credentials"]["openai"] = json!([{"file": file}]);
        Testbed::setup_with(&policy, standin)
            .env("KEYSWAP_SECRET_FOLDERS", &self.0.path().display().to_string())
            .native()
    }
}

fn models() -> Request {
    Request::get("/v1/models").bearer(TOKEN)
}

fn keys(standin: &Standin) -> BTreeSet<String> {
    standin
        .take()
        .iter()
        .map(|request| request.header("authorization").unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn a_file_that_is_replaced_under_load_reaches_the_requests_of_every_worker_and_costs_none() -> Result<()> {
    let (secrets, standin) = (Secrets::new("sk-file-1\n")?, Standin::start()?);
    let envoy = secrets.setup(&secrets.file(), &standin).concurrency(2).start()?;
    ensure!(envoy.send(&models())?.status == 200);
    ensure!(keys(&standin) == ["Bearer sk-file-1".to_owned()].into());
    let call = |_, _| -> Result<()> {
        let response = envoy.send(&models())?;
        ensure!(response.status == 200, "{response:?}");
        Ok(())
    };
    under_load(4, call, |load| {
        let reaches = |value: &str| {
            let sent = format!("Bearer {value}");
            secrets.rotate(value)?;
            // The old value may be on its way while the new one is already used: forty requests are those of both workers.
            until_within(REACHES, "the new value is the only one", || {
                standin.take();
                load.passes(40)?;
                Ok(keys(&standin) == [sent.clone()].into())
            })
            .map(drop)
        };
        ["sk-file-2", "sk-file-3", "sk-file-4"].into_iter().try_for_each(reaches)
    })?;
    let shown = envoy.admin("/config_dump?include_eds")? + &envoy.admin("/stats")? + &envoy.log();
    ensure!(!shown.contains("sk-file-"), "a value shows");
    ensure!(envoy.log().contains("has a new value"), "{}", envoy.log());
    Ok(())
}

#[test]
fn a_file_that_is_gone_or_broken_is_in_the_log_and_its_value_stays() -> Result<()> {
    let (secrets, standin) = (Secrets::new("sk-file-1")?, Standin::start()?);
    let envoy = secrets.setup(&secrets.file(), &standin).start()?;
    fs::remove_file(secrets.file())?;
    until("the log says that it is gone", || {
        Ok(envoy.log().contains("is not there: create it, or correct the path; its last value stays in use"))
    })?;
    ensure!(envoy.send(&models())?.status == 200);
    secrets.rotate("sk-file sentinel")?;
    until("the log says that it is broken", || Ok(envoy.log().contains("has a byte at position 7")))?;
    ensure!(envoy.send(&models())?.status == 200);
    ensure!(keys(&standin) == ["Bearer sk-file-1".to_owned()].into());
    secrets.rotate("sk-file-2")?;
    fs::set_permissions(secrets.file(), Permissions::from_mode(0o644))?;
    until("the log says that others may read it", || {
        Ok(envoy.log().contains("may be read by every user of the machine"))
    })?;
    until("the new value is used", || {
        ensure!(envoy.send(&models())?.status == 200);
        Ok(keys(&standin) == ["Bearer sk-file-2".to_owned()].into())
    })?;
    ensure!(!envoy.log().contains("sentinel"), "the content is in the log");
    let status = envoy.send(&Request::get("/.well-known/keyswap").header("host", "localhost"))?;
    ensure!(!status.text().contains("sk-file"), "{}", status.text());
    Ok(())
}

#[test]
fn a_module_does_not_start_with_a_file_that_is_missing_or_elsewhere() -> Result<()> {
    let (secrets, standin) = (Secrets::new("sk-file-1")?, Standin::start()?);
    let elsewhere = Secrets::new("sk-sentinel")?;
    for (file, says) in [
        (secrets.0.path().join("missing"), "is not there: create it, or correct the path"),
        (elsewhere.file(), "lies in none of the folders that this host reads secrets from"),
    ] {
        let log = secrets.setup(&file, &standin).refused()?;
        ensure!(log.contains(says) && log.contains(&file.display().to_string()), "{says}: {log}");
        ensure!(!log.contains("sentinel"), "the content is in the log");
    }
    Ok(())
}

#[test]
fn the_filter_refuses_a_policy_that_reads_a_file() -> Result<()> {
    let mut policy: Value = Testbed::policy();
    policy["credentials"]["openai"] = json!([{"file": "/run/secrets/openai"}]);
    let log = Testbed::setup_with(&policy, &Standin::start()?).refused()?;
    ensure!(log.contains("credentials.openai[0].file") && log.contains("this host reads no files"), "{log}");
    Ok(())
}
