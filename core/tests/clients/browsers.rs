//! Requests of pages: what stays here of them, and what their answers show.

use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Verdict;
use keyswap_core::request::{Header, RequestHead};
use serde_json::json;

use super::support::worker::{Worker, at, nobody_is_asked};
use super::{Lines, PTK, UPGRADE, ask, judge, policy};

#[test]
fn what_a_browser_says_of_its_page_stays_here() {
    let lines = [
        ("x-api-key", PTK),
        ("anthropic-version", "2023-06-01"),
        ("Origin", "https://app.example.com"),
        ("Referer", "https://app.example.com/chat"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
        ("sec_fetch.user", "?1"),
        ("sec-fetch-storage-access", "active"),
    ];
    let worker = Worker::new(&policy(&json!({})));
    let expect = "api.anthropic.com/v1/messages anthropic-version=2023-06-01 x-api-key=KEY";
    assert_eq!(ask(&worker, "POST /v1/messages", &lines), expect);
}

#[test]
fn no_other_identity_or_account_goes_upstream_in_any_place() {
    let worker = Worker::new(&policy(&json!({})));
    let protocols = format!(
        "realtime, openai-insecure-api-key.{PTK}, OpenAI-Organization.org-other, openai-project.proj_other, \
         api-key.other, x-api-key.other, authorization.other, access_token.other"
    );
    let found = ask(&worker, "WS /v1/realtime?model=m", &[("sec-websocket-protocol", &protocols)]);
    let expect = "api.openai.com/v1/realtime?model=m authorization=Bearer KEY connection=upgrade sec-websocket-protocol=realtime upgrade=websocket";
    assert_eq!(found, expect);
    for (query, kept) in [
        ("alt=sse&access_token=ya29.other", "alt=sse"),
        ("alt=sse&Access%5fToken=o&$key=o&%24access_token=o&apikey=o&oauth_token=o", "alt=sse"),
        ("auth_token=o;alt=sse;bearer_token=o&$quotaUser=o&client_secret=o", "alt=sse"),
    ] {
        let request = format!("POST /v1beta/models/g:generateContent?{query}");
        let expect = format!(
            "generativelanguage.googleapis.com/v1beta/models/g:generateContent?{kept} x-goog-api-key=KEY"
        );
        assert_eq!(ask(&worker, &request, &[("x-goog-api-key", PTK), ("apikey", "other")]), expect);
    }
}

#[test]
fn a_browser_that_offers_only_a_token_is_told_that_its_scheme_was_chosen() {
    let worker = Worker::new(&policy(&json!({})));
    let with_token = |before: &str| format!("{before}{PTK}");
    for (protocols, expect) in [
        (with_token("token, "), Some("token")),
        (with_token("Bearer, "), Some("Bearer")),
        (with_token("other, token, "), None),
        (with_token("realtime, openai-insecure-api-key."), None),
    ] {
        let lines = [("origin", "https://app.example.com"), ("sec-websocket-protocol", &*protocols)];
        let headers: Vec<Header<'_>> = lines
            .iter()
            .chain(&UPGRADE)
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead::new(b"GET", b"/deepgram/v1/listen", &headers);
        let store = MemoryStore::default();
        let (reason, exchange) =
            worker.send(&store, &head, at(0), &nobody_is_asked, |decision| decision.reason_code().to_owned());
        assert_eq!(reason, "allowed", "{protocols}");
        let mut set = exchange.response().set.iter().filter(|(name, _)| *name == "sec-websocket-protocol");
        let chosen = set.next().map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned());
        assert_eq!(chosen.as_deref(), expect, "{protocols}");
    }
}

fn reply_header(worker: &Worker, request: &str, lines: Lines<'_>, name: &str) -> Option<String> {
    judge(worker, request, lines, &nobody_is_asked, |decision, _| {
        let (Verdict::Reply(_, reply) | Verdict::Answer(reply)) = &decision.verdict else {
            panic!("{request}")
        };
        let header = reply.headers.iter().find(|(other, _)| *other == name);
        header.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned())
    })
}

#[test]
fn a_page_sees_the_headers_that_its_sdk_reads() {
    let worker = Worker::new(&policy(&json!({})));
    let lines = [("origin", "https://app.example.com"), ("authorization", "Bearer nobody-knows-this")];
    let exposed =
        reply_header(&worker, "POST /v1/realtime/calls", &lines, "access-control-expose-headers").unwrap();
    let exposed: Vec<&str> = exposed.split(", ").collect();
    for name in ["location", "request-id", "x-request-id", "dg-request-id", "apim-request-id", "retry-after"]
    {
        assert!(exposed.contains(&name), "{name}");
    }
    assert_eq!(exposed[0], "*", "what it may see is what its caller may see");
}

#[test]
fn a_page_that_is_listed_may_call_into_a_private_network() {
    const ALLOW: &str = "access-control-allow-private-network";
    let page = |origin| {
        [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-private-network", "true"),
        ]
    };
    let listed = Worker::new(&policy(
        &json!({"cors": {"allow_origins": ["https://app.example.com", "app://obsidian.md", "tauri://localhost", "chrome-extension://abcdefghijklmnop"]}}),
    ));
    for (worker, origin, expect) in [
        (&listed, "https://app.example.com", Some("true")),
        (&listed, "app://obsidian.md", Some("true")),
        (&listed, "tauri://localhost", Some("true")),
        (&listed, "chrome-extension://abcdefghijklmnop", Some("true")),
        (&listed, "app://other", None),
        (&listed, "https://evil.example", None),
        (&Worker::new(&policy(&json!({}))), "https://app.example.com", None),
    ] {
        let found = reply_header(worker, "OPTIONS /v1/models", &page(origin), ALLOW);
        assert_eq!(found.as_deref(), expect, "{origin}");
    }
    let unasked = &page("https://app.example.com")[..2];
    assert_eq!(reply_header(&listed, "OPTIONS /v1/models", unasked, ALLOW), None);
}
