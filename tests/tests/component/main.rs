//! The component on `wasmtime serve`: its parts, and its behaviour other than the decisions, which `cases` tests.

mod artefact;
mod bodies;
mod carrying;
mod hosts;
mod prepared;
mod rollouts;
mod sdks;
mod services;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Request, Server, Standin, Wasmtime, WasmtimeSetup};
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

/// Ensures that requests of an older version of HTTP, or with an offer of another protocol, reach the upstream without the offer.
fn ensure_old_callers_are_served(server: &Server, standin: &Standin, token: &str) -> Result<()> {
    for (version, lines) in [
        ("1.0", ""),
        ("1.0", "connection: keep-alive\r\n"),
        ("1.1", "connection: Upgrade\r\nupgrade: TLS/1.2\r\n"),
        (
            "1.1",
            "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
        ),
    ] {
        let head = format!(
            "GET /v1/models HTTP/{version}\r\nhost: llm.example.com\r\nauthorization: Bearer {token}\r\n{lines}\r\n"
        );
        let status = server.open_raw(head.as_bytes())?.status();
        let received = standin.take();
        ensure!(status == 200 && received.len() == 1, "{status} and {} requests for {head}", received.len());
        for name in ["upgrade", "http2-settings"] {
            ensure!(received[0].header(name).is_none(), "{head}: {received:?}");
        }
    }
    Ok(())
}
