//! Bodies under rules: what is refused is no request upstream.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Script, Scripted, Standin, Testbed, Wasmtime};
use serde_json::json;

use crate::{KEY, TOKEN};

#[test]
fn a_request_without_a_body_is_judged_before_any_of_it_goes_on() -> Result<()> {
    let (standin, registry) = (Standin::start()?, Scripted::start(|_| Script::answer(500, "{}"))?);
    let policy = json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"],
            "budget": {"tokens": 1000, "per": "day"},
        }],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "registry": Testbed::registry(),
    });
    let wasmtime = Wasmtime::with(&policy).env("OPENAI_API_KEY", KEY).env("KEYSWAP_REGISTRY_TOKEN", KEY);
    let wasmtime = wasmtime.upstream(&standin).registry(registry.address()).start()?;
    for (framing, end) in [("content-length: 0", ""), ("transfer-encoding: chunked", "0\r\n\r\n")] {
        let mut stream = TcpStream::connect(wasmtime.address())?;
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}");
        write!(stream, "{head}\r\nconnection: close\r\n{framing}\r\n\r\n{end}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(
            answer.starts_with("HTTP/1.1 503") && answer.contains("budget_unavailable"),
            "{framing}: {answer}"
        );
        ensure!(standin.take().is_empty(), "{framing}: a request arrived");
    }
    Ok(())
}
