//! A publisher of signed policies, and the data planes that fetch them.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Standin, builds::KEYSWAP, envoy::Setup, registry::Registry, testbed::Testbed};

/// Executes a statement in an SQLite file.
const WRITE: &str = "
import json, sqlite3, sys
database, statement, values = sys.argv[1:]
with sqlite3.connect(database, timeout=30) as connection:
    connection.execute(statement, json.loads(values))
";

/// A publisher: a registry, a key, and the command.
pub struct Desk {
    /// The registry.
    pub registry: Registry,
    folder: TempDir,
    /// The public key of the publisher, a JWK Set.
    pub keys: Value,
}

impl Desk {
    /// The name of the published policy.
    pub const NAME: &str = "prod";

    /// Starts a registry, and makes a key.
    pub fn open() -> Result<Self> {
        let desk = Self { registry: Registry::start()?, folder: tempfile::tempdir()?, keys: Value::Null };
        let keys = desk.keygen("policy.key")?;
        std::fs::write(desk.path("policy-keys.json"), keys.to_string())?;
        Ok(Self { keys, ..desk })
    }

    /// Returns the path of a file in the publisher's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes another key, and returns its public part.
    pub fn keygen(&self, name: &str) -> Result<Value> {
        let file = self.path(name);
        Ok(serde_json::from_str(&self.run(&["policy", "keygen", &file.to_string_lossy()])?)?)
    }

    /// Runs the command with the address and the password of the registry.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(KEYSWAP.path()?)
            .args(args)
            .env("KEYSWAP_SERVER", self.registry.url())
            .env("KEYSWAP_ADMIN_PASSWORD", self.registry.password())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{args:?} failed:\n{said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Runs a command that signs without asking, and waits for the data planes.
    pub fn sign(&self, args: &[&str]) -> Result<()> {
        let key = self.path("policy.key");
        self.run(&[&["policy"], args, &["--yes", "--wait", "30s", "--key", &key.to_string_lossy()]].concat())
            .map(drop)
    }

    /// Publishes a policy.
    pub fn publish(&self, policy: &Value, more: &[&str]) -> Result<()> {
        let file = self.path("policy.json");
        std::fs::write(&file, policy.to_string())?;
        self.sign(&[&["publish", Self::NAME, &file.to_string_lossy()], more].concat())
    }

    /// Returns the configuration of a data plane.
    fn source(&self) -> Value {
        json!({
            "version": "keyswap-bundle/v1", "url": "http://keyswap-registry", "plaintext": "trusted_network", "name": Self::NAME, "poll": "1s",
            "credential": {"env": "KEYSWAP_REGISTRY_TOKEN"}, "keys": self.keys,
        })
    }

    /// Returns a data plane.
    pub fn data_plane(&self, standin: &Standin) -> Setup {
        Testbed::setup_with(&self.source(), standin)
            .registry(self.registry.address())
            .env("KEYSWAP_REGISTRY_TOKEN", self.registry.registry_token())
            .concurrency(2)
    }

    /// Executes a statement in the registry's database, past the registry.
    pub fn write(&self, statement: &str, values: &Value) -> Result<()> {
        let database = self.registry.database().trim_start_matches("sqlite://");
        let values = values.to_string();
        let done = Command::new("python3").args(["-c", WRITE, database, statement, &values]).output()?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Replaces the registered keys of [`Self::NAME`] in the registry's database.
    pub fn replace_signers(&self, keys: &str) -> Result<()> {
        let statement = "UPDATE policy_signers SET keys = ?, version = version + 1 WHERE name = ?";
        self.write(statement, &json!([keys, Self::NAME]))
    }

    /// Returns the last reports of the data planes.
    pub fn planes(&self) -> Result<Vec<Value>> {
        let status = self.run(&["policy", "status", Self::NAME, "--format", "json"])?;
        let mut status: Value = serde_json::from_str(&status)?;
        Ok(status["planes"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }
}
