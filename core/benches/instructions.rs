//! A program that makes one decision at a time, to count what it takes: `cargo xtask instructions` runs it in Valgrind.
//!
//! `instructions NAME` makes ready the state of a warm worker. Then it makes the decision of that name in
//! [`keyswap_counted`], the only function whose instructions are counted. A decision with another outcome than it
//! should have fails, so that no count is of something else. Without a name it prints the names.

#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "this is a program, not the engine"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use keyswap_core::base::Digest;
use keyswap_core::body::{AnswerHead, AnswerScanner, Purposes};
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{self, Decision};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::{self, Entry, Next};
use serde_json::{Value, json};
use support::worker::{Answer, Secrets, TOKEN, Worker, at_ms, known, nobody_is_asked, status, unknown};
use support::{Signer, claims, oidc, with};

/// The request of a program that uses the OpenAI SDK; `{token}` stands for its token.
const REQUEST: &str = include_str!("../../tests/bench/request.http");
const POLICY: &str = include_str!("../../envoy/policy.yaml");

type Service = fn(&str) -> Answer;

/// The decisions, in the order in which they are shown.
const DECISIONS: [(&str, fn()); 13] = [
    ("inline_token", || decide(&policy(&json!({})), &sdk(TOKEN), nobody_is_asked, (200, "allowed"))),
    ("registry_token", || decide(&registry(), &sdk(TOKEN), known, (200, "allowed"))),
    ("registry_objects", || {
        decide(&with(&registry(), &json!({"objects": "own"})), &sdk(TOKEN), known, (200, "allowed"));
    }),
    ("jwt", jwt),
    ("refused_unknown", || decide(&registry(), &sdk(TOKEN), unknown, (401, "token_invalid"))),
    ("refused_malformed", || decide(&registry(), &sdk("short"), nobody_is_asked, (401, "token_invalid"))),
    ("preflight", preflight),
    ("policy_compile", policy_compile),
    ("answer_text_kb", || {
        scan("application/json", &answer("text of an answer, \\\"quoted\\\" and é ", 1000), 1000);
    }),
    ("answer_numbers_kb", || {
        scan("application/json", &answer("\",\"n\":[0.0023064255,-1],\"x\":\"", 1000), 1000);
    }),
    ("event_openai", || scan("text/event-stream", &events(CHUNK), 100)),
    ("event_anthropic", || scan("text/event-stream", &events(DELTA), 100)),
    ("event_cut", || cut("text/event-stream", &events(CHUNK), 100)),
];

/// An event of a stream of OpenAI's.
const CHUNK: &str = r#"data: {"id":"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT","object":"chat.completion.chunk","created":1764400000,"model":"gpt-5-2025-08-07","service_tier":"default","system_fingerprint":"fp_5d58a6f1f0","choices":[{"index":0,"delta":{"content":" token"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"pzTx81"}"#;
/// An event of a stream of Anthropic's.
const DELTA: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
    {\"type\":\"text_delta\",\"text\":\" some text\"}}";

fn main() {
    // `cargo bench` adds an argument of its own.
    let name = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let Some(name) = name else { return DECISIONS.iter().for_each(|(name, _)| println!("{name}")) };
    match DECISIONS.iter().find(|(other, _)| *other == name) {
        Some((_, decision)) => decision(),
        None => panic!("there is no decision `{name}`"),
    }
}

/// Counts one decision: Valgrind counts while this function runs, and knows it by its name.
#[inline(never)]
fn keyswap_counted(work: &mut dyn FnMut()) {
    work();
}

/// Judges a request that was judged before, with warm caches.
fn decide(policy: &Value, request: &Request, service: Service, expect: (u16, &'static str)) {
    let (worker, store) = (Worker::new(policy), MemoryStore::default());
    let headers = request.headers();
    let head = RequestHead { headers: &headers, ..request.head() };
    let outcome = |decision: &Decision<'_>| (status(decision), decision.reason_code());
    for millisecond in 0..3 {
        assert_eq!(worker.decide(&store, &head, at_ms(millisecond), &service, outcome), expect);
    }
    let request = judge::Request { head: &head, now: at_ms(3), store: &store };
    let mut found = None;
    keyswap_counted(&mut || {
        let in_force = worker.inner.in_force(&store);
        if let Next::Decide(decision, _) = in_force.judge(Entry::New, &request) {
            found = Some(outcome(&decision));
        }
    });
    assert_eq!(found, Some(expect));
}

fn jwt() {
    let signer = Signer::new(1, "key-1");
    let issuer = with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any"}));
    let policy = policy(&json!({"issuers": [issuer], "rate_limit": {"requests": 100, "per": "60s"}}));
    decide(&policy, &sdk(&signer.sign(&claims())), nobody_is_asked, (200, "allowed"));
}

fn preflight() {
    let request = "OPTIONS /v1/chat/completions HTTP/1.1\nhost: llm.example.com\naccept: */*\n\
                   access-control-request-headers: authorization,content-type\naccess-control-request-method: POST\n\
                   origin: https://app.example.com\nsec-fetch-mode: cors\nuser-agent: Mozilla/5.0\n";
    let policy = policy(&json!({"cors": {"allow_origins": ["https://app.example.com"]}}));
    decide(&policy, &Request(request.to_owned()), nobody_is_asked, (204, "answered"));
}

fn policy_compile() {
    let document = policy(&json!({})).to_string();
    let mut compiled = None;
    keyswap_counted(&mut || {
        compiled = RolloutPolicy::from_json(document.as_bytes())
            .and_then(|policy| {
                worker::Worker::of(policy, Box::new(Secrets), Box::new(PureRust), Capabilities::ENVOY)
            })
            .ok();
    });
    assert!(compiled.is_some());
}

/// Returns an answer with so many kilobytes of this text.
fn answer(text: &str, kilobytes: usize) -> String {
    let text = text.repeat(kilobytes * 1000 / text.len());
    format!(
        r#"{{"model":"m","choices":[{{"message":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":7}}}}"#
    )
}

/// Returns a stream of 100 such events and one that tells the usage.
fn events(event: &str) -> String {
    format!("{event}\n\n").repeat(100) + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7}}\n\n"
}

fn scan(content_type: &str, body: &str, share: usize) {
    scan_for(Purposes { reads_usage: true, cuts_usage_chunk: false }, content_type, body, share);
}

fn cut(content_type: &str, body: &str, share: usize) {
    scan_for(Purposes { reads_usage: true, cuts_usage_chunk: true }, content_type, body, share);
}

/// Scans an answer in slices as Envoy hands them out. Only one of so many shares of it is counted.
fn scan_for(purposes: Purposes, content_type: &str, body: &str, share: usize) {
    let head = AnswerHead { status: 200, content_type: Some(content_type), ..AnswerHead::default() };
    let (mut scanner, mut out) = (AnswerScanner::new(&head, purposes), Vec::with_capacity(body.len()));
    let counted = body.len() / share;
    let (first, rest) = body.as_bytes().split_at(counted);
    keyswap_counted(&mut || {
        scanner.feed(first, &mut out);
    });
    for slice in rest.chunks(16 * 1024) {
        scanner.feed(slice, &mut out);
    }
    assert_eq!(scanner.finding().usage.map(|usage| usage.input), Ok(7));
}

/// Returns the shipped policy with a token that is known here, and these changes.
fn policy(changes: &Value) -> Value {
    let mut policy: Value = serde_saphyr::from_str(POLICY).unwrap();
    policy["tokens"][0]["sha256"] = json!(Digest::of(TOKEN.as_bytes()).to_hex());
    with(&policy, changes)
}

/// Returns the same policy with a registry in place of the token, and a limit.
fn registry() -> Value {
    policy(&json!({
        "tokens": null,
        "registry": {"url": "http://registry.example:7070", "plaintext": "trusted_network", "credential": {"env": "REGISTRY"}},
        // No body is read.
        "objects": "shared",
        "rate_limit": {"requests": 100, "per": "60s"},
    }))
}

/// A request head as text.
struct Request(String);

/// Returns a request of the SDK with this token.
fn sdk(token: &str) -> Request {
    Request(REQUEST.replace("{token}", token))
}

impl Request {
    /// Returns a head with method and path.
    fn head(&self) -> RequestHead<'_> {
        let mut words = self.0.split(' ').map(str::as_bytes);
        let mut next = || words.next().unwrap_or_default();
        RequestHead {
            method: next(),
            path: next(),
            authority: b"llm.example.com",
            scheme: b"https",
            headers: &[],
            peer: || None,
            certificate: &|_| None,
        }
    }

    /// Returns the header lines, and those that Envoy adds.
    fn headers(&self) -> Vec<Header<'_>> {
        let added = ["x-forwarded-proto: http", "x-request-id: 01234567-89ab-4cde-8f01-23456789abcd"];
        let lines = self.0.lines().skip(1).take_while(|line| !line.is_empty()).chain(added);
        lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect()
    }
}
