//! Records that the registry signs, in Envoy and in Wasmtime: a real registry, and a server in between that lies.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, ensure};
use keyswap_core::{base::Digest, services::RECORD_TYPE};
use keyswap_tests::{
    Call, Envoy, KEYSWAP, Registry, Request, Response, Script, Scripted, SigningKey, Standin, Testbed,
    Wasmtime, unix_now, until,
};
use serde_json::{Value, json};

const PROVIDER_KEY: &str = "sk-real";

/// The lie about a token, by its digest.
type Lie = Arc<dyn Fn(&Registry, &Call) -> Script + Send + Sync>;

/// A server in front of a registry. It forwards all but what it lies about.
struct Between {
    server: Scripted,
    registry: Arc<Registry>,
    lies: Arc<Mutex<BTreeMap<String, Lie>>>,
    keys: Value,
    _folder: tempfile::TempDir,
}

fn digest(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Asks the registry as the data plane did, for this target.
fn forward(registry: &Registry, call: &Call, target: &str) -> Script {
    let mut request = Request::new(&call.method, target);
    for name in ["authorization", "accept", "content-type"] {
        for (_, value) in call.headers.iter().filter(|(other, _)| other == name) {
            request = request.header(name, value);
        }
    }
    match registry.send(&request.body(call.body.clone())) {
        Ok(Response { status, body, .. }) => Script::answer(status, body),
        Err(_) => Script::Close,
    }
}

impl Between {
    fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("records.key");
        let made = Command::new(KEYSWAP.path()?)
            .args(["policy", "keygen", "--algorithm", "es256"])
            .arg(&file)
            .output()?;
        let keys = serde_json::from_slice(&made.stdout)?;
        let registry =
            Arc::new(Registry::setup().arguments(&["--records-key", &file.to_string_lossy()]).start()?);
        let lies: Arc<Mutex<BTreeMap<String, Lie>>> = Arc::default();
        let (behind, told) = (Arc::clone(&registry), Arc::clone(&lies));
        let server = Scripted::start(move |call| {
            let subject = call.target.strip_prefix("/v1/tokens/").unwrap_or(&call.target);
            let lie = told.lock().unwrap_or_else(PoisonError::into_inner).get(subject).map(Arc::clone);
            match lie {
                Some(lie) => lie(&behind, call),
                None => forward(&behind, call, &call.target),
            }
        })?;
        Ok(Self { server, registry, lies, keys, _folder: folder })
    }

    fn policy(&self) -> Value {
        let mut policy = Testbed::registry_policy();
        policy["registry"]["keys"] = self.keys.clone();
        policy
    }

    /// Makes a token that the registry knows.
    fn token(&self, label: &str) -> Result<String> {
        let created = self.registry.create_token(&json!({"label": label, "providers": ["openai:*"]}))?;
        Ok(created["token"].as_str().unwrap_or_default().to_owned())
    }

    fn lie(&self, token: &str, lie: Lie) {
        self.lie_about(digest(token), lie);
    }

    fn lie_about(&self, subject: String, lie: Lie) {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner).insert(subject, lie);
    }

    /// Has the server in between give every object to the caller that asks.
    fn check_holders(&self, ask: &dyn Fn(&Request) -> Result<Response>, token: &str) -> Result<()> {
        let file = || Request::get("/v1/files/file-of-another").bearer(token);
        let verdict = ask(&file())?.verdict();
        ensure!(verdict == "404 object_not_found", "a signed absence: {verdict}");
        let holder = digest(token);
        self.lie_about(
            "/v1/objects/find".to_owned(),
            Arc::new(move |_, call| {
                let asked: Value = serde_json::from_slice(&call.body).unwrap_or_default();
                let asked = asked["sha256"].as_array().into_iter().flatten();
                let held =
                    asked.map(|it| json!({"sha256": it, "principal": holder, "kind": "file", "version": 9}));
                Script::answer(200, json!({"objects": held.collect::<Vec<_>>()}).to_string())
            }),
        );
        let verdict = ask(&file())?.verdict();
        ensure!(verdict == "503 registry_unavailable", "an unsigned holder: {verdict}");
        Ok(())
    }

    /// Goes through the lies and the truth, with a data plane in front.
    fn check(&self, ask: &dyn Fn(&Request) -> Result<Response>, standin: &Standin) -> Result<()> {
        let models = |token: &str| Request::get("/v1/models").bearer(token);
        let [good, other, hidden, unchanged] =
            ["good", "other", "hidden", "unchanged"].map(|label| self.token(label));
        let (good, other, hidden, unchanged) = (good?, other?, hidden?, unchanged?);
        until("a signed record lets in", || Ok(ask(&models(&good))?.status == 200))?;
        ensure!(ask(&models("ptk_never-minted"))?.verdict() == "401 token_invalid", "a signed absence");

        let plain = |token: &str| json!({"sha256": digest(token), "label": "l", "providers": ["openai"], "version": 1});
        let key = SigningKey::p256(self.keys["keys"][0]["kid"].as_str().unwrap_or_default())?;
        let forged = |token: &str| {
            let mut header = key.header();
            header["typ"] = json!(RECORD_TYPE);
            let now = unix_now();
            let payload = json!({
                "sub": format!("token:{}", digest(token)), "iat": now, "exp": now + 15, "record": plain(token),
            });
            key.sign_raw(&header.to_string(), payload.to_string())
        };
        let unsigned = plain("ptk_unsigned").to_string();
        let by_another_key = forged("ptk_by-another-key")?;
        let of_other = format!("/v1/tokens/{}", digest(&other));
        let lies: [(&str, Lie); 5] = [
            ("ptk_unsigned", Arc::new(move |_, _| Script::answer(200, unsigned.clone()))),
            ("ptk_by-another-key", Arc::new(move |_, _| Script::answer(200, by_another_key.clone()))),
            ("ptk_of-another-token", Arc::new(move |registry, call| forward(registry, call, &of_other))),
            (&hidden, Arc::new(|_, _| Script::answer(404, r#"{"code":"unknown_token"}"#))),
            (&unchanged, Arc::new(|_, _| Script::answer(304, ""))),
        ];
        standin.take();
        for (token, lie) in lies {
            self.lie(token, lie);
            let verdict = ask(&models(token))?.verdict();
            ensure!(verdict == "503 token_store_unavailable", "{token}: {verdict}");
        }
        ensure!(standin.take().is_empty(), "a request went on");
        ensure!(ask(&models(&good))?.status == 200, "the lies are about other tokens");
        self.check_holders(ask, &good)?;
        let path = format!("/tokens/{}", digest(&good));
        self.registry.admin("PATCH", &path, &json!({"status": "disabled"}))?;
        until("a revoked token is refused", || Ok(ask(&models(&good))?.status == 401))?;
        Ok(())
    }
}

#[test]
fn envoy_takes_only_records_that_the_registry_signed() -> Result<()> {
    let (between, standin) = (Between::start()?, Standin::start()?);
    let envoy = Envoy::with(&between.policy())
        .env("OPENAI_API_KEY", PROVIDER_KEY)
        .env("KEYSWAP_REGISTRY_TOKEN", between.registry.registry_token())
        .upstream(&standin)
        .registry(between.server.address())
        .start()?;
    between.check(&|request| envoy.send(request), &standin)?;
    envoy.has_counted("/stats?filter=keyswap", &["keyswap.fetches.kind.token.outcome.malformed: 5"])?;
    let told = envoy.log().matches("an answer of the registry is not used").count();
    ensure!((1..=5).contains(&told), "told {told} times:\n{}", envoy.log());
    Ok(())
}

#[test]
fn wasmtime_takes_only_records_that_the_registry_signed() -> Result<()> {
    let (between, standin) = (Between::start()?, Standin::start()?);
    let wasmtime = Wasmtime::with(&between.policy())
        .env("OPENAI_API_KEY", PROVIDER_KEY)
        .env("KEYSWAP_REGISTRY_TOKEN", between.registry.registry_token())
        .upstream(&standin)
        .registry(between.server.address())
        .start()?;
    between.check(&|request| wasmtime.send(request), &standin)
}

#[test]
fn a_registry_without_a_key_lets_nobody_in_where_one_is_pinned() -> Result<()> {
    let (between, standin) = (Between::start()?, Standin::start()?);
    let plain = Registry::start()?;
    let token = plain.create_token(&json!({"label": "l", "providers": ["openai"]}))?;
    let envoy = Envoy::with(&between.policy())
        .env("OPENAI_API_KEY", PROVIDER_KEY)
        .env("KEYSWAP_REGISTRY_TOKEN", plain.registry_token())
        .upstream(&standin)
        .registry(plain.address())
        .start()?;
    for token in [token["token"].as_str().unwrap_or_default(), "ptk_never-minted"] {
        let answer = envoy.send(&Request::get("/v1/models").bearer(token))?;
        ensure!(answer.verdict() == "503 token_store_unavailable", "{token}: {}", answer.verdict());
    }
    ensure!(standin.take().is_empty(), "a request went on");
    ensure!(envoy.log().contains("has the registry a `--records-key`?"), "{}", envoy.log());
    Ok(())
}
