//! Answers that end with trailers.

use anyhow::{Result, ensure};
use keyswap_tests::{Envoy, Request, Script, Scripted, Wasmtime};
use serde_json::{Value, json};

use super::{KEY, TOKEN, policy};

const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n";
const END: &str = "0\r\nx-sum: 9\r\n\r\n";

fn metered() -> Value {
    let mut policy = policy();
    policy["prices"] = json!({"gpt-5-mini": {"input": 1, "output": 10}});
    policy["metering"] = json!({});
    policy
}

/// Starts an upstream that answers with these chunks and a trailer.
fn upstream(content_type: &str, chunks: &[&str]) -> Result<Scripted> {
    let chunks: Vec<String> =
        chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
    let chunks = chunks.concat();
    let answer = format!("{HEAD}content-type: {content_type}\r\n\r\n{chunks}{END}");
    let answer: &'static [u8] = answer.leak().as_bytes();
    Scripted::start(move |_| Script::Raw(answer))
}

fn envoy(upstream: &Scripted) -> Result<Envoy> {
    let setup = Envoy::with(&metered()).env("OPENAI_API_KEY", KEY);
    setup.plain_upstream(upstream.address()).http1_trailers().start()
}

fn wasmtime(upstream: &Scripted) -> Result<Wasmtime> {
    let mut policy = metered();
    policy["providers"] = json!({"openai": {"url": format!("http://{}", upstream.address())}});
    Wasmtime::with(&policy).env("OPENAI_API_KEY", KEY).start()
}

fn chat(stream: bool) -> Request {
    let body = json!({"model": "gpt-5-mini", "messages": [], "stream": stream});
    Request::post("/v1/chat/completions", &body).bearer(TOKEN).header("te", "trailers")
}

/// Returns the bytes of an answer, with its framing.
fn raw(answer: &keyswap_tests::Response) -> String {
    format!("{} {}", answer.status, answer.text())
}

const ANSWER: [&str; 2] =
    [r#"{"model":"gpt-5-mini","usage":{"prompt_tokens":8,"#, r#""completion_tokens":12}}"#];
const STREAM: [&str; 3] = [
    "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":12}}\n\n",
    "data: [DONE]\n\n",
];

#[test]
fn the_usage_of_an_answer_with_trailers_is_logged_and_counted_once() -> Result<()> {
    for (content_type, chunks, stream) in
        [("application/json", &ANSWER[..], false), ("text/event-stream", &STREAM[..], true)]
    {
        let upstream = upstream(content_type, chunks)?;
        let envoy = envoy(&upstream)?;
        let answer = envoy.send(&chat(stream))?;
        let expected = if stream { [STREAM[0], STREAM[2]].concat() } else { ANSWER.concat() };
        ensure!(raw(&answer) == format!("200 {expected}"), "{content_type}: {answer:?}");
        let line = envoy.access_log(1)?.remove(0);
        let told = [&line["model"], &line["input_tokens"], &line["output_tokens"]].map(ToString::to_string);
        ensure!(told.map(|it| it.replace('"', "")) == ["gpt-5-mini", "8", "12"], "{content_type}: {line}");
        let counted = "outcome.metered.provider.openai.model.gpt-5-mini: 1";
        envoy.has_counted("/stats?filter=keyswap.usage.outcome", &[counted])?;
        let wasmtime = wasmtime(&upstream)?;
        ensure!(raw(&wasmtime.send(&chat(stream))?) == format!("200 {expected}"), "{content_type}");
    }
    Ok(())
}

#[test]
fn a_list_that_breaks_off_in_front_of_trailers_is_cut_off_and_a_whole_one_goes_on() -> Result<()> {
    let list = r#"{"data":[{"id":"gpt-5"},{"id":"gpt-5-mini"}]"#;
    for (chunks, is_whole) in [(&[list, "}"][..], true), (&[list][..], false)] {
        let upstream = upstream("application/json", chunks)?;
        let (envoy, wasmtime) = (envoy(&upstream)?, wasmtime(&upstream)?);
        for (host, server) in [("Envoy", &*envoy), ("Wasmtime", &*wasmtime)] {
            let answer = server.send(&Request::get("/v1/models").bearer(TOKEN));
            let expected = r#"{"data":[{"id":"gpt-5-mini"}]}"#;
            let is_as_expected = match &answer {
                Ok(answer) => is_whole && answer.text() == expected,
                Err(_) => !is_whole,
            };
            ensure!(is_as_expected, "{host}, whole: {is_whole}: {answer:?}");
        }
    }
    Ok(())
}
