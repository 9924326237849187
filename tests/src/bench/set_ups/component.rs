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
const ONCE_FORWARDED: &str = "passthrough-once";

/// The tokens of the policy where each instance serves one request.
const TOKENS: usize = 100;

/// The set-ups on Wasmtime, each after its baseline.
pub const COMPONENT_SET_UPS: [SetUp; 7] = [
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
    SetUp {
        name: ONCE_FORWARDED,
        title: "a component that only forwards, an instance for each request",
        baseline: ONCE_FORWARDED,
        start: forwarded_once,
    },
    SetUp {
        name: "component-once",
        title: "**Keyswap**, an instance for each request, 100 tokens",
        baseline: ONCE_FORWARDED,
        start: |stage, _| once(stage, false),
    },
    SetUp {
        name: "component-prepared",
        title: "**Keyswap**, the same with the policy in the component",
        baseline: ONCE_FORWARDED,
        start: |stage, _| once(stage, true),
    },
];

fn forwarded_token(stage: &Stage, _workers: u32) -> Result<Running> {
    passthrough(stage, TOKEN)
}

fn forwarded_jwt(stage: &Stage, _workers: u32) -> Result<Running> {
    passthrough(stage, &stage.jwt()?)
}

fn forwarded_once(stage: &Stage, _workers: u32) -> Result<Running> {
    forwarding(stage, TOKEN, Wasmtime::passthrough(stage.upstream.address()).instances_for_one_request())
}

fn passthrough(stage: &Stage, credential: &str) -> Result<Running> {
    forwarding(stage, credential, Wasmtime::passthrough(stage.upstream.address()))
}

fn forwarding(stage: &Stage, credential: &str, setup: WasmtimeSetup) -> Result<Running> {
    let host = start(stage, setup)?;
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

/// Starts Keyswap with an instance for each request, which reads the policy or has it.
fn once(stage: &Stage, is_prepared: bool) -> Result<Running> {
    let own = policy(stage, &json!({}))["tokens"][0].clone();
    let others = (1..TOKENS).map(|number| {
        let sha256 = Digest::of(&number.to_be_bytes()).to_hex();
        json!({"sha256": sha256, "label": format!("laptop-{number}"), "providers": ["openai"]})
    });
    let tokens: Vec<Value> = others.chain([own]).collect();
    let folder = tempfile::tempdir()?;
    let setup = set_up(&policy(stage, &json!({ "tokens": tokens })));
    let setup = if is_prepared { setup.prepared(folder.path()) } else { setup };
    serving(stage, setup.instances_for_one_request(), TOKEN, TOKEN.replace('b', "B"))
}

/// Starts Keyswap with a changed policy, without a gateway. The credential `good` is accepted, `bad` is refused.
fn keyswap(stage: &Stage, changes: &Value, good: &str, bad: String) -> Result<Running> {
    serving(stage, set_up(&policy(stage, changes)), good, bad)
}

fn policy(stage: &Stage, changes: &Value) -> Value {
    crate::with(
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
    )
}

fn set_up(policy: &Value) -> WasmtimeSetup {
    Wasmtime::with(policy).env("OPENAI_API_KEY", OPENAI_API_KEY)
}

fn serving(stage: &Stage, setup: WasmtimeSetup, good: &str, bad: String) -> Result<Running> {
    let host = start(stage, setup)?;
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
