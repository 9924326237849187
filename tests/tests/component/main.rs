//! The component on `wasmtime serve`: its parts, and its behaviour other than the decisions, which `cases` tests.

mod artefact;
mod carrying;
mod hosts;
mod prepared;
mod rollouts;
mod sdks;
mod services;

use std::net::SocketAddr;

use anyhow::Result;
use keyswap_core::base::Digest;
use keyswap_tests::{Request, Wasmtime, WasmtimeSetup};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_of-the-component-0123456789abcdef";
const KEY: &str = "sk-real-sentinel";

fn policy() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "alice-laptop", "providers": ["openai"],
        }],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    })
}

fn setup() -> WasmtimeSetup {
    Wasmtime::with(&policy()).env("OPENAI_API_KEY", KEY)
}

/// Starts the component in front of another upstream.
fn in_front_of(upstream: SocketAddr) -> Result<Wasmtime> {
    let mut policy = policy();
    policy["providers"] = json!({"openai": {"url": format!("http://{upstream}")}});
    Wasmtime::with(&policy).env("OPENAI_API_KEY", KEY).start()
}

fn models() -> Request {
    Request::get("/v1/models").bearer(TOKEN)
}

fn chat(stream: bool) -> Request {
    Request::post("/v1/chat/completions", &json!({"model": "m", "stream": stream, "messages": []}))
        .bearer(TOKEN)
}
