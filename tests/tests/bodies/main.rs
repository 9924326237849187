//! Bodies under rules, in Envoy: what is refused is no request upstream, whatever its size and its slices, and nothing is
//! held.

mod early;
mod http2;
mod memory;
mod messages;
mod trailers;

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{Envoy, Request, Setup, Standin};
use serde_json::{Value, json};

const TOKEN: &str = "ptk_of-some-models";
const KEY: &str = "sk-real-openai";

fn policy() -> Value {
    json!({
        "version": "keyswap/v1",
        "tokens": [{
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"], "models": ["gpt-5-mini"],
        }],
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
    })
}

fn setup(standin: &Standin) -> Setup {
    Envoy::with(&policy()).env("OPENAI_API_KEY", KEY).upstream(standin)
}

fn start(standin: &Standin) -> Result<Envoy> {
    setup(standin).start()
}

/// Returns a request of about this size, whose model stands at its end.
fn body(model: &str, size: usize) -> String {
    let text = "a \\\"model\\\": \\\"gpt-5-mini\\\" ".repeat(size / 27);
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"model":"{model}"}}"#)
}

/// Sends a body in slices of this size, chunked or with its length. Returns the answer; nothing where the connection was
/// closed without one.
fn send(envoy: &Envoy, body: &str, slice: usize, is_chunked: bool) -> Result<String> {
    let mut stream = TcpStream::connect(envoy.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.set_nodelay(true)?;
    let framing = if is_chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {}", body.len())
    };
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: keyswap.test\r\nconnection: close\r\n{framing}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    for part in body.as_bytes().chunks(slice) {
        let sent = if is_chunked {
            stream.write_all(&[format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat())
        } else {
            stream.write_all(part)
        };
        // A refusal may come before all is sent.
        if sent.is_err() {
            break;
        }
    }
    if is_chunked {
        let _ = stream.write_all(b"0\r\n\r\n");
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_refused_model_leaves_the_upstream_without_a_request_whatever_the_slices() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    for (size, slice) in
        [(100, 1), (100, 1000), (10_000, 7), (300_000, 4096), (3_000_000, 65_536), (20_000_000, 262_144)]
    {
        for is_chunked in [false, true] {
            let context = || format!("{size} bytes in slices of {slice}, chunked: {is_chunked}");
            let allowed = send(&envoy, &body("gpt-5-mini", size), slice, is_chunked).with_context(context)?;
            ensure!(allowed.starts_with("HTTP/1.1 200"), "{}: {allowed:.200}", context());
            let received = standin.take();
            let [request] = received.as_slice() else { anyhow::bail!("{}: {}", context(), received.len()) };
            ensure!(request.body == body("gpt-5-mini", size).into_bytes(), "{}: it was changed", context());
            let refused = send(&envoy, &body("gpt-5", size), slice, is_chunked).with_context(context)?;
            ensure!(refused.starts_with("HTTP/1.1 403"), "{}: {refused:.200}", context());
            ensure!(refused.contains("model_not_allowed") && refused.contains("gpt-5-mini"), "{refused}");
            ensure!(standin.take().is_empty(), "{}: a request arrived", context());
        }
    }
    Ok(())
}

#[test]
fn what_follows_the_closing_brace_later_ends_the_request() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    let both = format!("{}{}", body("gpt-5-mini", 100), r#"{"model":"gpt-5"}"#);
    for slice in [1, both.len() - 18, both.len() - 17, both.len() - 1, both.len()] {
        let answer = send(&envoy, &both, slice, true)?;
        ensure!(answer.starts_with("HTTP/1.1 400") && answer.contains("body_invalid"), "{slice}: {answer}");
        ensure!(standin.take().is_empty(), "{slice}: a request arrived");
    }
    let padded = format!("{}{}", body("gpt-5-mini", 100), " \r\n\t".repeat(2000));
    ensure!(send(&envoy, &padded, 100, false)?.starts_with("HTTP/1.1 200"), "white space is no data");
    Ok(())
}

#[test]
fn a_refusal_is_counted_once_with_its_reason_and_what_passes_as_allowed() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    for model in ["gpt-5", "gpt-5-mini", "gpt-5"] {
        send(&envoy, &body(model, 100), 1000, false)?;
    }
    let stats = envoy.admin("/stats?filter=keyswap.decisions")?;
    let count = |verdict: &str, reason: &str| {
        let line = format!("keyswap.decisions.verdict.{verdict}.reason.{reason}.provider.openai: ");
        let found = stats.lines().find_map(|it| it.split_once(&line).map(|(_, count)| count.to_owned()));
        found.unwrap_or_default()
    };
    let counts = (count("forward", "allowed"), count("reply", "model_not_allowed"));
    ensure!(counts == ("1".to_owned(), "2".to_owned()), "{counts:?}\n{stats}");
    Ok(())
}

#[test]
fn a_caller_that_may_use_some_models_sees_these_in_lists() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = start(&standin)?;
    standin.refuse_if(|request| {
        let list = json!({"object": "list", "data": [
            {"id": "gpt-5", "object": "model"}, {"id": "gpt-5-mini", "object": "model"}, {"id": "o4", "object": "model"},
        ]});
        (request.path() == "/v1/models").then(|| keyswap_tests::Refusal { status: 200, headers: Vec::new(), body: list })
    });
    for target in ["/v1/models", "/v1/models?model=gpt-5-mini", "/v1/models?model=gpt-5-mini&limit=9"] {
        let response = envoy.send(&Request::get(target).bearer(TOKEN))?;
        let ids: Vec<Value> =
            response.json()?["data"].as_array().into_iter().flatten().map(|it| it["id"].clone()).collect();
        ensure!(ids == [json!("gpt-5-mini")], "{target}: {}", response.text());
    }
    ensure!(
        standin.take().iter().all(|it| it.header("accept-encoding") == Some("identity")),
        "it may be compressed"
    );
    let one = envoy.send(&Request::get("/v1/models/o4").bearer(TOKEN))?;
    ensure!(one.status == 403, "the page of another model: {}", one.status);
    Ok(())
}
