//! A program that measures what the scanning of bodies costs: `cargo xtask scan-cost` runs it in Wasmtime, built as the
//! filter is.
//!
//! Each row is the least of many rounds, which other work on the machine disturbs least. The bodies come in slices as Envoy
//! hands them out. Every scan is checked for what it found.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "this is a program, not the engine"
)]
#![expect(clippy::cast_precision_loss, reason = "the numbers are far below 2⁵²")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use keyswap_core::body::{AnswerHead, AnswerScanner, Purposes, RequestScanner};

const SLICE_BYTES: usize = 16 * 1024;
const BODY_BYTES: usize = 1_000_000;
const EVENTS: usize = 2_000;
/// The rounds of each row.
const ROUNDS: u32 = 60;

/// An event of a stream of OpenAI's.
const CHUNK: &str = r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1764400000,"model":"gpt-5-2025-08-07","service_tier":"default","system_fingerprint":"fp_5d58a6f1f0","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"pzTx81"}"#;
/// An event of a stream of Anthropic's.
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
    {\"type\":\"text_delta\",\"text\":\" some text\"}}";

fn main() {
    for (name, body) in [("text", text()), ("dense JSON", dense()), ("many members", members())] {
        let least = least(|| request(body.as_bytes()));
        let milliseconds = least.as_secs_f64() * 1e3 / (body.len() as f64 / 1e6);
        println!("request, {name}\t{milliseconds:.2}\tms/MB");
    }
    for (name, cuts, event) in
        [("OpenAI", false, CHUNK), ("Anthropic", false, DELTA), ("OpenAI, usage cut", true, CHUNK)]
    {
        let stream = stream(event);
        let least = least(|| answer(stream.as_bytes(), cuts));
        println!("event, {name}\t{:.2}\tµs", least.as_secs_f64() * 1e6 / EVENTS as f64);
    }
    println!("state of a request\t{}\tbytes", size_of::<RequestScanner>());
    println!("state of an answer\t{}\tbytes", size_of::<AnswerScanner>());
}

fn least(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let begin = Instant::now();
        work();
        begin.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

/// A conversation: nearly all of it is text.
fn text() -> String {
    let message =
        r#"{"role":"user","content":"text of a request, with \"quotes\", é and a few more words\n"},"#;
    let messages = message.repeat(BODY_BYTES / message.len());
    format!(r#"{{"model":"m","messages":[{}]}}"#, messages.trim_end_matches(','))
}

/// Short members, numbers and words, some levels deep.
fn dense() -> String {
    let element = r#"{"a":1,"b":[-2.5e3,true,null],"c":{"d":"x","e":{}}},"#;
    let elements = element.repeat(BODY_BYTES / element.len());
    format!(r#"{{"model":"m","input":[{}]}}"#, elements.trim_end_matches(','))
}

/// 60,000 short members at the top, where each name may be one that is looked for.
fn members() -> String {
    let mut body = String::from(r#"{"model":"m""#);
    for number in 0..60_000 {
        let _ = write!(body, r#","k{number}":{number}"#);
    }
    body + "}"
}

fn request(body: &[u8]) {
    let (mut scanner, mut models) = (RequestScanner::new(false), 0);
    for slice in body.chunks(SLICE_BYTES) {
        let fed = scanner.feed(black_box(slice), &mut |_| models += 1);
        assert!(fed.is_ok(), "{:?}", fed.err());
    }
    assert!(scanner.is_over() && models == 1);
}

fn stream(event: &str) -> String {
    format!("{event}\n\n").repeat(EVENTS) + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n"
}

fn answer(stream: &[u8], cuts: bool) {
    let head = AnswerHead { status: 200, content_type: Some("text/event-stream"), ..AnswerHead::default() };
    let purposes = Purposes { reads_usage: true, cuts_usage_chunk: cuts };
    let (mut scanner, mut out) = (AnswerScanner::new(&head, purposes), Vec::with_capacity(SLICE_BYTES));
    for slice in stream.chunks(SLICE_BYTES) {
        out.clear();
        scanner.feed(black_box(slice), &mut out);
    }
    assert_eq!(scanner.finding().usage.map(|usage| usage.input), Ok(7));
}
