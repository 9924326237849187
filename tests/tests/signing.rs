//! Signed policies against an attacker that holds the administrator's password and the registry's database, and no key.

use anyhow::{Context as _, Result, ensure};
use keyswap_core::{base::Digest, services::BUNDLE_TYPE};
use keyswap_tests::{Desk, Envoy, Request, SigningKey, Standin, Testbed, base64url, under_load, until};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_of-the-attacker-0123456789";

/// Adds a revision to the database.
const REVISION: &str =
    "INSERT INTO policy_revisions (name, revision, bundle, digest, sha256, published_at, published_by)
    VALUES ('prod', ?, ?, ?, ?, 1, 'admin')";

/// Returns a policy under which the attacker's token may call this provider.
fn policy(provider: &str, label: &str) -> Value {
    let mut policy = Testbed::policy();
    let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
    policy["tokens"] = json!([{"sha256": sha256, "label": label, "providers": [provider]}]);
    policy
}

fn ask(envoy: &Envoy) -> Result<(u16, String)> {
    let response = envoy.send(&Request::get("/v1/models").bearer(TOKEN))?;
    Ok((response.status, response.header("x-keyswap-reason").unwrap_or_default().to_owned()))
}

/// The attacker: the password and the database of the desk's registry, and a key of its own.
struct Attacker<'a> {
    desk: &'a Desk,
    key: SigningKey,
}

impl Attacker<'_> {
    /// Returns a bundle with the attacker's policy as stable policy and candidate, and the operator's key id.
    fn header_and_payload(&self, revision: u64) -> (String, String) {
        let theirs = policy("openai", "theirs");
        let policy =
            json!({"version": "keyswap-rollout/v1", "stable": theirs, "candidate": theirs, "percent": 50});
        let header = json!({"alg": "EdDSA", "kid": self.desk.keys["keys"][0]["kid"], "typ": BUNDLE_TYPE});
        let before = json!({"revision": 1, "sha256": "a".repeat(64)});
        let payload = json!({"name": Desk::NAME, "revision": revision, "follows": before, "policy": policy});
        (header.to_string(), payload.to_string())
    }

    /// Returns a bundle with a random signature.
    fn forge(&self, revision: u64) -> String {
        let (header, payload) = self.header_and_payload(revision);
        format!("{}.{}.{}", base64url(header), base64url(payload), base64url([7; 64]))
    }

    /// Returns a bundle with the attacker's own signature.
    fn sign(&self, revision: u64) -> Result<String> {
        let mut header = self.key.header();
        header["typ"] = json!(BUNDLE_TYPE);
        self.key.sign_raw(&header.to_string(), self.header_and_payload(revision).1)
    }

    fn keys(&self) -> Value {
        json!({"keys": [self.key.jwk()]})
    }

    fn insert(&self, revision: u64, bundle: &str) -> Result<()> {
        let digest = Digest::of(bundle.as_bytes()).to_hex();
        self.desk.write(REVISION, &json!([revision, bundle, digest, digest]))
    }

    /// Waits until the data plane has refused the newest revision, and runs this one.
    fn until_refused(&self, running: u64) -> Result<()> {
        until("the data plane has refused the attacker's policy", || {
            let planes = self.desk.planes()?;
            let is_refused =
                |plane: &Value| plane["problem"] == "bad_signature" && plane["revision"] == running;
            Ok(planes.iter().any(is_refused))
        })
        .map(drop)
    }
}

/// Runs everything that an operator would run to take the attacker's policy back. Nothing of it may sign anything.
fn operate_in_vain(desk: &Desk) -> Result<()> {
    let keys = desk.path("policy-keys.json");
    let keys = keys.to_string_lossy();
    let file = desk.path("policy.json");
    let file = file.to_string_lossy();
    let failed = |run: Result<String>| -> Result<()> {
        let said = format!("{:#}", run.err().context("it succeeded")?);
        ensure!(said.contains("signed by none of your keys"), "{said}");
        Ok(())
    };
    failed(desk.run(&["policy", "status", Desk::NAME, "--keys", &keys]))?;
    failed(desk.run(&["policy", "show", Desk::NAME, "--keys", &keys]))?;
    for args in [
        &["rollback", Desk::NAME][..],
        &["promote", Desk::NAME],
        &["promote", Desk::NAME, "--percent", "100"],
        &["publish", Desk::NAME, &file, "--candidate"],
        &["publish", Desk::NAME, &file],
    ] {
        failed(desk.sign(args).map(|()| String::new())).with_context(|| format!("{args:?}"))?;
    }
    Ok(())
}

/// Tries, widens, promotes and rolls back as on any other day. `--wait` checks that the data plane runs each step.
fn operate(desk: &Desk) -> Result<()> {
    desk.publish(&policy("anthropic", "next"), &["--candidate", "--percent", "10"])?;
    desk.sign(&["promote", Desk::NAME, "--percent", "100"])?;
    desk.sign(&["promote", Desk::NAME])?;
    desk.sign(&["rollback", Desk::NAME])
}

fn attack(desk: &Desk, attacker: &Attacker<'_>) -> Result<()> {
    // Through the administration.
    let far = 2 + (1 << 62);
    for bundle in [attacker.forge(3), attacker.forge(far), attacker.sign(3)?, attacker.sign(far)?] {
        let posted =
            desk.registry.admin("POST", "/policies", &json!({"bundle": bundle, "keys": attacker.keys()}));
        ensure!(posted.is_err(), "the registry took the attacker's policy");
    }
    let change = json!({"name": Desk::NAME, "version": 2, "keys": attacker.keys()});
    let mut header = attacker.key.header();
    header["typ"] = json!("keyswap-policy-signers+jws");
    let request = attacker.key.sign_raw(&header.to_string(), change.to_string())?;
    let path = format!("/policies/{}/signers", Desk::NAME);
    ensure!(
        desk.registry.admin("PUT", &path, &json!({"request": request})).is_err(),
        "the keys were replaced"
    );
    operate(desk)?;
    // Through the database.
    attacker.insert(7, &attacker.forge(7))?;
    attacker.until_refused(6)?;
    attacker.insert(far, &attacker.forge(far))?;
    attacker.until_refused(6)?;
    operate_in_vain(desk)?;
    desk.publish(&policy("anthropic", "first"), &["--discard-unsigned"])?;
    operate(desk)?;
    // Through the database, with keys of the attacker's own.
    desk.replace_signers(&attacker.keys().to_string())?;
    let posted = json!({"bundle": attacker.sign(12)?});
    ensure!(desk.registry.admin("POST", "/policies", &posted).is_err(), "it follows nothing");
    attacker.insert(12, &attacker.sign(12)?)?;
    attacker.until_refused(11)?;
    operate_in_vain(desk)?;
    let refused = desk.publish(&policy("anthropic", "first"), &["--discard-unsigned"]);
    ensure!(format!("{:#}", refused.err().context("it is not trusted")?).contains("policy trust"));
    let keys = desk.path("policy-keys.json");
    let database = desk.registry.database();
    desk.run(&["policy", "trust", Desk::NAME, "--keys", &keys.to_string_lossy(), "--database", database])?;
    desk.publish(&policy("anthropic", "first"), &["--discard-unsigned"])?;
    operate(desk)
}

#[test]
fn whoever_holds_password_and_database_gets_no_policy_signed_or_run_and_bricks_no_name() -> Result<()> {
    let desk = Desk::open()?;
    let standin = Standin::start()?;
    desk.publish(&policy("anthropic", "first"), &[])?;
    desk.publish(&policy("anthropic", "next"), &["--candidate"])?;
    let envoy = desk.data_plane(&standin).start()?;
    until("the data plane has a policy", || Ok(ask(&envoy)?.0 == 403))?;
    let attacker = Attacker { desk: &desk, key: SigningKey::p256("theirs")? };
    // No policy of the operator lets the attacker's token call OpenAI.
    let watch = |_, _| -> Result<()> {
        let answer = ask(&envoy)?;
        ensure!(answer == (403, "provider_not_allowed".to_owned()), "{answer:?}");
        Ok(())
    };
    under_load(1, watch, |load| {
        attack(&desk, &attacker)?;
        load.passes(10)
    })?;
    ensure!(standin.take().is_empty(), "a request went on");
    let planes = desk.planes()?;
    ensure!(planes[0]["revision"] == 16 && planes[0]["problem"].is_null(), "{planes:?}");
    Ok(())
}
