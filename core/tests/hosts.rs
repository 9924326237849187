//! The hosts that a policy is for, and the sign of life that is given on each.

use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{at, nobody_is_asked};

const OWN: &str = "llm.example.com";
const OTHER: &str = "shop.example.com";

fn said(decision: &Decision<'_>) -> (String, Option<&'static str>) {
    let verdict = decision.verdict_name();
    let header = match &decision.verdict {
        Verdict::Pass(passed) => passed.header().map(|(_, value)| value),
        _ => None,
    };
    (format!("{verdict}: {}", decision.reason_code()), header)
}

fn ask(plane: &Plane, method: &str, path: &str, host: &str) -> (String, Option<&'static str>) {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("origin", "https://app.example.com")]
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
    let preflight = [("origin", "https://app.example.com"), ("access-control-request-method", "POST")]
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
    let headers: &[Header<'_>] = if method == "OPTIONS" { &preflight } else { &headers };
    let mut head = RequestHead::new(method.as_bytes(), path.as_bytes(), headers);
    head.authority = host.as_bytes();
    plane.decide(&MemoryStore::default(), &head, at(0), &nobody_is_asked, said)
}

fn plane(more: &Value) -> Plane {
    Plane::new(&with(&policy(&["openai"]), more))
}

#[test]
fn a_policy_refuses_every_request_for_a_host_that_it_is_not_for() {
    let plane = plane(&json!({"hosts": [OWN]}));
    let refused = ("reply: host_not_served".to_owned(), None);
    for (method, path) in [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/../admin"),
        ("TRACE", "/v1/models"),
        ("OPTIONS", "/v1/models"),
        ("GET", "/.well-known/keyswap"),
    ] {
        for host in [OTHER, "", "api.openai.com", "llm.example.com.evil.example"] {
            assert_eq!(ask(&plane, method, path, host), refused, "{method} {path} for {host}");
        }
    }
    assert_eq!(ask(&plane, "POST", "/v1/chat/completions", OWN).0, "forward: allowed");
    assert_eq!(ask(&plane, "OPTIONS", "/v1/models", OWN).0, "answer: answered");
}

#[test]
fn where_no_authority_is_shown_one_line_names_the_host() {
    let plane = plane(&json!({"hosts": [OWN]}));
    let token = format!("Bearer {TOKEN}");
    for (authority, hosts, served) in [
        ("", &[OWN][..], true),
        ("", &[OTHER], false),
        ("", &[OWN, OWN], false),
        ("", &[OWN, OTHER], false),
        (OTHER, &[OWN], false),
        (OWN, &[OTHER], true),
    ] {
        let lines = hosts.iter().map(|host| ("host", *host)).chain([("authorization", token.as_str())]);
        let lines: Vec<Header<'_>> =
            lines.map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
        let mut head = RequestHead::new(b"POST", b"/v1/chat/completions", &lines);
        head.authority = authority.as_bytes();
        let (verdict, _) = plane.decide(&MemoryStore::default(), &head, at(0), &nobody_is_asked, said);
        assert_eq!(verdict == "forward: allowed", served, "{authority} {hosts:?}: {verdict}");
    }
}

#[test]
fn a_policy_in_shadow_mode_says_nothing_about_requests_for_other_hosts() {
    let plane = plane(&json!({"hosts": [OWN], "mode": "shadow", "shadow": {"header": true}}));
    for (method, path) in [("POST", "/checkout"), ("OPTIONS", "/v1/models"), ("TRACE", "/")] {
        let passed = ("pass: host_not_served".to_owned(), None);
        assert_eq!(ask(&plane, method, path, OTHER), passed, "{method} {path}");
    }
    assert_eq!(plane.metrics(), Vec::<String>::new());
    let passed = ("pass: allowed".to_owned(), Some("allowed"));
    assert_eq!(ask(&plane, "POST", "/v1/chat/completions", OWN), passed);
    assert_eq!(plane.metrics(), ["keyswap.shadow_decisions.verdict.forward.reason.allowed.provider.openai"]);
}

#[test]
fn a_policy_without_hosts_is_for_all() {
    let plane = plane(&json!({}));
    for host in [OWN, OTHER, ""] {
        assert_eq!(ask(&plane, "POST", "/v1/chat/completions", host).0, "forward: allowed", "{host}");
    }
}

#[test]
fn a_sign_of_life_is_given_to_whatever_asks_unless_the_policy_decides_nothing() {
    const LIVE: &str = "/.well-known/keyswap/live";
    let deciding = plane(&json!({"hosts": [OWN]}));
    let answered = ("answer: answered".to_owned(), None);
    for method in ["GET", "HEAD"] {
        assert_eq!(ask(&deciding, method, LIVE, "10.0.0.1:10443"), answered);
    }
    for (method, path) in
        [("POST", LIVE), ("GET", "/.well-known/keyswap/live/"), ("GET", "/.well-known/keyswap/live?x")]
    {
        assert_ne!(ask(&deciding, method, path, OWN), answered, "{method} {path}");
    }
    let shadow = plane(&json!({"mode": "shadow"}));
    assert!(ask(&shadow, "GET", LIVE, OWN).0.starts_with("pass: "));
}
