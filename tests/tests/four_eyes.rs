//! Policies that two keys must sign, against an attacker that holds the registry, its database and one of the keys.

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Desk, Envoy, Request, Standin, Testbed, until};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_of-a-caller-0123456789";

const REVISION: &str =
    "INSERT INTO policy_revisions (name, revision, bundle, digest, sha256, published_at, published_by)
    SELECT 'prod', ?, jws, ?, ?, 1, 'admin' FROM policy_proposals WHERE kind = 'revision'";

/// The desk of two people, each with a key. The data planes need both.
struct Team {
    desk: Desk,
    keys: String,
}

impl Team {
    fn meet() -> Result<Self> {
        let mut desk = Desk::open()?;
        let second = desk.keygen("second.key")?;
        desk.keys = json!({"keys": [desk.keys["keys"][0], second["keys"][0]], "required": 2});
        let keys = desk.path("team-keys.json");
        std::fs::write(&keys, desk.keys.to_string())?;
        Ok(Self { desk, keys: keys.to_string_lossy().into_owned() })
    }

    fn run(&self, key: &str, args: &[&str]) -> Result<String> {
        let key = self.desk.path(key);
        let key = key.to_string_lossy();
        self.desk.run(&[&["policy"], args, &["--yes", "--key", &key, "--keys", &self.keys]].concat())
    }

    /// Has one of the two propose a policy that opens this provider.
    fn propose(&self, key: &str, provider: &str) -> Result<()> {
        let mut policy = Testbed::policy();
        let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
        policy["tokens"] = json!([{"sha256": sha256, "label": "caller", "providers": [provider]}]);
        let file = self.desk.path("policy.json");
        std::fs::write(&file, policy.to_string())?;
        let said = self.run(key, &["publish", Desk::NAME, &file.to_string_lossy()])?;
        ensure!(said.contains("is proposed"), "{said}");
        Ok(())
    }

    fn sign(&self, key: &str) -> Result<()> {
        self.run(key, &["sign", Desk::NAME, "--wait", "30s"]).map(drop)
    }

    /// Waits for a data plane that reports this problem and runs this revision.
    fn until_reported(&self, running: &Value, problem: &Value) -> Result<()> {
        until("the data plane has reported", || {
            let planes = self.desk.planes()?;
            let is_such = |plane: &Value| plane["revision"] == *running && plane["problem"] == *problem;
            Ok(planes.iter().any(is_such))
        })
        .map(drop)
    }
}

fn ask(envoy: &Envoy) -> Result<(u16, String)> {
    let response = envoy.send(&Request::get("/v1/models").bearer(TOKEN))?;
    Ok((response.status, response.header("x-keyswap-reason").unwrap_or_default().to_owned()))
}

#[test]
fn no_data_plane_runs_what_one_of_two_signed_and_all_run_what_both_did() -> Result<()> {
    let team = Team::meet()?;
    let standin = Standin::start()?;
    team.propose("policy.key", "anthropic")?;
    let envoys = [team.desk.data_plane(&standin).start()?, team.desk.data_plane(&standin).start()?];
    let all = |expect: (u16, &str)| -> Result<()> {
        for envoy in &envoys {
            until("the data plane decides so", || Ok(ask(envoy)? == (expect.0, expect.1.to_owned())))?;
        }
        Ok(())
    };
    all((503, "policy_unavailable"))?;
    team.sign("second.key")?;
    all((403, "provider_not_allowed"))?;
    // The attacker has the registry, its database, and the second key.
    team.propose("second.key", "openai")?;
    let one = team.desk.registry.admin("GET", &format!("/policies/{}/proposal", Desk::NAME), &Value::Null)?;
    let one = one["bundle"].as_str().context("there is no proposal")?.to_owned();
    let digest = Digest::of(one.as_bytes()).to_hex();
    team.desk.write(REVISION, &json!([2, digest, digest]))?;
    team.until_reported(&json!(1), &json!("missing_signatures"))?;
    // The other one of the team notices and signs nothing upon it.
    for args in [["promote", Desk::NAME], ["rollback", Desk::NAME]] {
        let refused = team.run("policy.key", &args).err().context("it was signed")?;
        ensure!(format!("{refused:#}").contains("signed by fewer than 2 of your keys"), "{refused:#}");
    }
    let alone = json!({"keys": [team.desk.keys["keys"][1]]}).to_string();
    team.desk.replace_signers(&alone)?;
    let fresh = team.desk.data_plane(&standin).start()?;
    team.until_reported(&Value::Null, &json!("missing_signatures"))?;
    ensure!(ask(&fresh)? == (503, "policy_unavailable".to_owned()));
    all((403, "provider_not_allowed"))?;
    let refused = team.run("policy.key", &["rollback", Desk::NAME]).err().context("it was signed")?;
    ensure!(format!("{refused:#}").contains("the registry requires 1"), "{refused:#}");
    ensure!(standin.take().is_empty(), "a request went on");
    // The owner of the database puts it right.
    let database = team.desk.registry.database();
    team.desk.run(&["policy", "trust", Desk::NAME, "--keys", &team.keys, "--database", database])?;
    let file = team.desk.path("policy.json");
    team.run("policy.key", &["publish", Desk::NAME, &file.to_string_lossy(), "--discard-unsigned"])?;
    team.sign("second.key")?;
    for envoy in envoys.iter().chain([&fresh]) {
        until("the data plane runs what both signed", || Ok(ask(envoy)?.0 == 200))?;
    }
    Ok(())
}
