//! The component on `wasmtime serve`, and a component that only forwards, which is its baseline.

use std::rc::Rc;

use anyhow::Result;
use keyswap_core::TokenDigest;
use serde_json::{Value, json};

use super::{
    Running, SetUp,
    native::TOKEN,
    proof::{Job, forwards, refuses},
};
use crate::{
    Wasmtime, WasmtimeSetup,
    bench::{
        load::Requests,
        stage::{AUDIENCE, EMAIL, ISSUER, LABEL, OPENAI_API_KEY, Stage},
    },
};

const PASSTHROUGH: &str = "passthrough";

/// All of them. The first is the baseline.
pub const COMPONENT_SET_UPS: [SetUp; 3] = [
    SetUp {
        name: PASSTHROUGH,
        title: "a component that only forwards",
        baseline: PASSTHROUGH,
        start: passthrough,
    },
    SetUp {
        name: "component-token",
        title: "**Keyswap**, a proxy token",
        baseline: PASSTHROUGH,
        start: token,
    },
    SetUp { name: "component-jwt", title: "**Keyswap**, a JWT", baseline: PASSTHROUGH, start: jwt },
];

fn passthrough(stage: &Stage, _workers: u32) -> Result<Running> {
    let host = start(stage, Wasmtime::passthrough(stage.upstream.address()))?;
    let requests = Requests::new([Stage::request(TOKEN)], 200);
    let (own, first) = (Rc::clone(&host), requests.first().to_vec());
    let proof = move |stage: &Stage| forwards(stage, &*own, &first, Job::Nothing).map(drop);
    Ok(Running::new(host, requests, proof))
}

fn token(stage: &Stage, _workers: u32) -> Result<Running> {
    let forged = TOKEN.replace('b', "B");
    keyswap(stage, &json!({}), TOKEN, forged)
}

fn jwt(stage: &Stage, _workers: u32) -> Result<Running> {
    let keys: Value = serde_json::from_str(&stage.key_set()?)?;
    let issuers = json!([{
        "name": "id", "preset": "oidc", "issuer": ISSUER, "audiences": [AUDIENCE], "principals": "any",
        "jwks": {"inline": keys},
    }]);
    keyswap(stage, &json!({ "issuers": issuers }), &stage.jwt()?, stage.forged_jwt()?)
}

/// Keyswap with these changes to its policy, straight to the provider: `good` is let through, `bad` is not.
fn keyswap(stage: &Stage, changes: &Value, good: &str, bad: String) -> Result<Running> {
    let policy = crate::with(
        &json!({
            "version": "keyswap/v1",
            "tokens": [{
                "sha256": TokenDigest::of(TOKEN.as_bytes()).to_hex(),
                "label": LABEL, "owner": EMAIL, "providers": ["openai"],
            }],
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
            "providers": {"openai": {"url": format!("http://{}", stage.upstream.address())}},
        }),
        changes,
    );
    let host = start(stage, Wasmtime::with(&policy).env("OPENAI_API_KEY", OPENAI_API_KEY))?;
    let requests = Requests::new([Stage::request(good)], 200);
    let (own, first) = (Rc::clone(&host), requests.first().to_vec());
    let proof = move |stage: &Stage| {
        forwards(stage, &*own, &first, Job::Key)?;
        refuses(stage, &*own, Stage::request(&bad).as_bytes())
    };
    Ok(Running::new(host, requests, proof))
}

/// Starts a Wasmtime on the core for proxies.
fn start(stage: &Stage, setup: WasmtimeSetup) -> Result<Rc<Wasmtime>> {
    stage.cores.proxy(1, || setup.start()).map(Rc::new)
}
