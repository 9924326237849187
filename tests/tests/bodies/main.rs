//! Bodies under rules, in Envoy: what is refused is no request upstream, whatever its size and its slices, and nothing is
//! held.

mod early;
mod http2;
mod memory;
mod messages;
mod trailers;

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

/// Sends a chat in slices. Returns the bytes of the answer.
fn send(envoy: &Envoy, body: &str, slice: usize, is_chunked: bool) -> Result<String> {
    let request = Request::new("POST", "/v1/chat/completions").bearer(TOKEN).body(body);
    envoy.send_sliced(&request, slice, is_chunked)
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
    let counts = [
        "keyswap.decisions.verdict.forward.reason.allowed.provider.openai: 1\n",
        "keyswap.decisions.verdict.reply.reason.model_not_allowed.provider.openai: 2\n",
    ];
    envoy.has_counted("/stats?filter=keyswap.decisions", &counts)?;
    let logged: Vec<Value> = envoy.access_log(3)?.iter().map(|line| line["reason"].clone()).collect();
    ensure!(logged == ["model_not_allowed", "allowed", "model_not_allowed"], "{logged:?}");
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
