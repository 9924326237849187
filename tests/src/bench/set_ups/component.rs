//! The component on `wasmtime serve`, and its baseline: a component that only forwards the same request.

use std::rc::Rc;

use anyhow::Result;
use keyswap_core::base::Digest;
use serde_json::{Value, json};

use super::{
    native::TOKEN,
    proof::{Job, forwards, refuses},
    running::Running,
    set_up::SetUp,
};
use crate::{
    Wasmtime, WasmtimeSetup,
    bench::{
        load::Requests,
        stage::{AUDIENCE, EMAIL, ISSUER, LABEL, OPENAI_API_KEY, Stage},
    },
};

const TOKEN_FORWARDED: &str = "passthrough-token";
const JWT_FORWARDED: &str = "passthrough-jwt";

/// The set-ups on Wasmtime, each after its baseline.
pub const COMPONENT_SET_UPS: [SetUp; 4] = [
    SetUp {
        name: TOKEN_FORWARDED,
        title: "a component that only forwards, a proxy token",
        baseline: TOKEN_FORWARDED,
        start: forwarded_token,
    },
    SetUp {
        name: "component-token",
        title: "**Keyswap**, a proxy token",
        baseline: TOKEN_FORWARDED,
        start: token,
    },
    SetUp {
        name: JWT_FORWARDED,
        title: "a component that only forwards, a JWT",
        baseline: JWT_FORWARDED,
        start: forwarded_jwt,
    },
    SetUp { name: "component-jwt", title: "**Keyswap**, a JWT", baseline: JWT_FORWARDED, start: jwt },
];

fn forwarded_token(stage: &Stage, _workers: u32) -> Result<Running> {
    passthrough(stage, TOKEN)
}

fn forwarded_jwt(stage: &Stage, _workers: u32) -> Result<Running> {
    passthrough(stage, &stage.jwt()?)
}

fn passthrough(stage: &Stage, credential: &str) -> Result<Running> {
    let host = start(stage, Wasmtime::passthrough(stage.upstream.address()))?;
    let requests = Requests::new([Stage::request(credential)], 200);
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

/// Starts Keyswap with a changed policy, without a gateway. The credential `good` is accepted, `bad` is refused.
fn keyswap(stage: &Stage, changes: &Value, good: &str, bad: String) -> Result<Running> {
    let policy = crate::with(
        &json!({
            "version": "keyswap/v1",
            "tokens": [{
                "sha256": Digest::of(TOKEN.as_bytes()).to_hex(),
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

/// Starts Wasmtime on the core for proxies.
fn start(stage: &Stage, setup: WasmtimeSetup) -> Result<Rc<Wasmtime>> {
    stage.cores.proxy(1, || setup.start()).map(Rc::new)
}
