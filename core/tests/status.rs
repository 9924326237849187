//! The status of a data plane: the callers that get it, and its content.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Verdict;
use keyswap_core::policy::Policy;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::worker::{Answer, Worker, answered, at};
use crate::support::{Signer, claims, oidc, with};

const OPERATOR: &str = "ptk_operator-0123456789";
const CALLER: &str = "ptk_caller-0123456789";

fn policy(allow: &Value) -> Value {
    let token = |token: &str, providers: &[&str]| json!({"sha256": Digest::of(token.as_bytes()).to_hex(), "label": "l", "providers": providers});
    let scope: &[&str] = if allow.to_string().contains("tokens") { &["keyswap-status"] } else { &["openai"] };
    json!({
        "version": "keyswap/v1",
        "tokens": [token(OPERATOR, scope), token(CALLER, &["openai", "groq"])],
        "registry": {"url": "http://registry.example", "plaintext": "trusted_network", "credential": {"env": "REGISTRY"}},
        "credentials": {
            "a": [{"env": "A"}],
            "b": [{"env": "B"}],
            "groq": [{"request_header": "x-id"}, {"http": {"url": "http://agent/t", "plaintext": "trusted_network", "value": "/t", "expires_in": "/in"}}],
        },
        "providers": {"openai": {"credentials": {"a": 3, "b": 1}}},
        "issuers": [with(&oidc(&json!([Signer::new(1, "k").jwk()])), &json!({"slots": ["header:x-id"], "principals": "any"}))],
        "status": {"allow": allow},
    })
}

fn nobody(path: &str) -> Answer {
    match path {
        "/v1/principals/alice%40example.com" => Answer::unknown(),
        "/t" => Answer(200, json!({"t": "sentinel-fetched", "in": 3600}).to_string()),
        path => panic!("{path} was asked for"),
    }
}

const HERE: fn() -> Option<IpAddr> = || Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
const HERE_6: fn() -> Option<IpAddr> = || Some(IpAddr::V6(Ipv6Addr::LOCALHOST));
const HERE_MAPPED: fn() -> Option<IpAddr> = || Some(IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped()));
const SIDECAR: fn() -> Option<IpAddr> = || Some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 6)));
const ELSEWHERE: fn() -> Option<IpAddr> = || Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)));
const UNKNOWN: fn() -> Option<IpAddr> = || None;

fn ask(worker: &Worker, peer: fn() -> Option<IpAddr>, headers: &[(&str, &str)]) -> (String, Option<Value>) {
    ask_for(worker, "localhost:10000", peer, headers)
}

fn ask_for(
    worker: &Worker,
    authority: &str,
    peer: fn() -> Option<IpAddr>,
    headers: &[(&str, &str)],
) -> (String, Option<Value>) {
    let headers: Vec<Header<'_>> = headers
        .iter()
        .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
        .collect();
    let head = RequestHead {
        method: b"GET",
        path: b"/.well-known/keyswap",
        authority: authority.as_bytes(),
        scheme: b"",
        headers: &headers,
        peer,
        certificate: &|_| None,
    };
    worker.decide(&MemoryStore::default(), &head, at(0), &nobody, |decision| {
        let body = match &decision.verdict {
            Verdict::Answer(answer) => serde_json::from_str(&answer.body).ok(),
            _ => None,
        };
        (decision.reason_code().to_owned(), body)
    })
}

#[test]
fn it_is_told_to_those_that_the_policy_lets_ask_and_to_nobody_else() {
    let operator = [("authorization", format!("Bearer {OPERATOR}"))];
    let operator: Vec<(&str, &str)> = operator.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let caller = format!("Bearer {CALLER}");
    let both = Worker::new(&policy(&json!(["loopback", "tokens"])));
    let loopback = Worker::new(&policy(&json!(["loopback"])));
    let tokens = Worker::new(&policy(&json!(["tokens"])));
    let missing = "credential_missing";
    for (worker, peer, headers, expect) in [
        (&loopback, HERE, &[][..], "answered"),
        (&loopback, HERE_6, &[], "answered"),
        (&loopback, HERE_MAPPED, &[], "answered"),
        (&loopback, HERE, &[("sec-fetch-site", "none")], "answered"),
        (&loopback, ELSEWHERE, &[], missing),
        (&loopback, SIDECAR, &[], missing),
        (&loopback, UNKNOWN, &[], missing),
        // Another caller may stand behind such a header.
        (&loopback, HERE, &[("X-Forwarded-For", "127.0.0.1")], missing),
        (&loopback, HERE, &[("forwarded", "for=127.0.0.1")], missing),
        (&loopback, HERE, &[("x-real-ip", "")], missing),
        (&loopback, HERE, &[("x-forwarded-client-cert", "By=x")], missing),
        (&loopback, HERE, &[("x-envoy-peer-metadata", "x")], missing),
        // Envoy's own word on the caller.
        (&loopback, HERE, &[("x-envoy-external-address", "127.0.0.1")], "answered"),
        (&loopback, HERE, &[("x-envoy-external-address", "1.2.3.4")], missing),
        (&loopback, HERE, &[("x-envoy-external-address", "127.0.0.6")], missing),
        (&loopback, HERE, &[("x-envoy-external-address", "")], missing),
        (&loopback, HERE, &[("origin", "http://localhost:3000")], missing),
        (&loopback, HERE, &[("sec-fetch-site", "cross-site")], missing),
        (&loopback, HERE, &[("sec-fetch-site", "same-origin")], missing),
        (&loopback, ELSEWHERE, &operator, "provider_not_allowed"),
        (&tokens, HERE, &[], missing),
        (&tokens, ELSEWHERE, &operator, "answered"),
        (&tokens, HERE, &[("authorization", &caller)], "provider_not_allowed"),
        (&both, HERE, &[("x-forwarded-for", "1.2.3.4")], missing),
        (&both, HERE, &[], "answered"),
    ] {
        assert_eq!(ask(worker, peer, headers).0, expect, "{headers:?}");
    }
}

#[test]
fn a_page_under_another_name_of_this_machine_learns_nothing() {
    let worker = Worker::new(&policy(&json!(["loopback"])));
    for (authority, expect) in [
        ("localhost", "answered"),
        ("LOCALHOST:10000", "answered"),
        ("127.0.0.1:10000", "answered"),
        ("[::1]:10000", "answered"),
        ("[::1]", "answered"),
        ("", "credential_missing"),
        ("evil.example:10000", "credential_missing"),
        ("localhost.evil.example", "credential_missing"),
        ("localhost:10000.evil.example", "credential_missing"),
        ("127.0.0.1.evil.example:80", "credential_missing"),
        ("10.0.0.7:10000", "credential_missing"),
        (":10000", "credential_missing"),
    ] {
        assert_eq!(ask_for(&worker, authority, HERE, &[]).0, expect, "{authority}");
    }
}

#[test]
fn an_identity_may_ask_only_where_its_issuer_names_the_status() {
    let signer = Signer::new(1, "k");
    let jwt = signer.sign(&claims());
    for (providers, expect) in [
        (json!(["openai", "keyswap-status"]), "answered"),
        (json!(["openai"]), "provider_not_allowed"),
        // Every provider of the policy. The status is none of them.
        (Value::Null, "provider_not_allowed"),
    ] {
        let mut document = policy(&json!(["tokens"]));
        if !providers.is_null() {
            document["issuers"][0]["providers"] = providers.clone();
        }
        let worker = Worker::new(&document);
        assert_eq!(ask(&worker, ELSEWHERE, &[("x-id", &jwt)]).0, expect, "{providers}");
    }
}

#[test]
fn it_says_what_is_in_use_and_how_fresh_and_no_value() {
    let worker = Worker::new(&policy(&json!(["loopback"])));
    let store = MemoryStore::default();
    // Both keys refuse one caller, and one of them another caller, too.
    for (token, path) in [
        (CALLER, &b"/groq/models"[..]),
        (CALLER, b"/openai/models"),
        (CALLER, b"/openai/models"),
        (OPERATOR, b"/openai/models"),
    ] {
        let authorization = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
        let head = RequestHead { peer: UNKNOWN, ..RequestHead::new(b"GET", path, &headers) };
        let ((), sent) = worker.send(&store, &head, at(0), &nobody, |_| ());
        answered(&store, &sent, at(0), &[(":status", "429")]);
    }
    let (_, body) = ask(&worker, HERE, &[]);
    let mut body = body.unwrap();
    assert!(!body.to_string().contains("sentinel"), "{body}");
    assert!(!body.to_string().contains("secret-value"), "{body}");
    let digest = body["policy"]["sha256"].take();
    let rests = ["a", "b"].map(|name| body["credentials"][name]["rests_until"].take());
    assert_eq!(rests.iter().filter(|until| **until == json!("2027-01-15T08:01:00Z")).count(), 1, "{rests:?}");
    assert_eq!(
        body,
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "policy": {"sha256": null, "revision": null, "candidate": null},
            "of": "worker",
            "now": "2027-01-15T08:00:00Z",
            "credentials": {
                "a": {"rests_until": null, "sources": [{"source": "env", "name": "A", "value": null, "in_use": true}]},
                "b": {"rests_until": null, "sources": [{"source": "env", "name": "B", "value": null, "in_use": true}]},
                "groq": {"rests_until": null, "sources": [
                    {"source": "request_header", "name": "x-id", "value": null, "in_use": null},
                    {"source": "http", "name": null, "in_use": true, "value": {
                        "state": "fresh", "fetched_at": "2027-01-15T08:00:00Z", "expires_at": "2027-01-15T09:00:00Z",
                        "failures": 0, "paused_until": null,
                    }},
                ]},
            },
            "providers": {
                "groq": {"authority": "api.groq.com", "credentials": {"groq": 1}, "bound": []},
                "openai": {"authority": "api.openai.com", "credentials": {"a": 3, "b": 1}, "bound": []},
            },
            "issuers": {"id": {"keys": 1, "fetched_at": null, "failures": 0}},
            "registry": {"authority": "registry.example", "position": null, "feed_failures": 0, "records": 0, "unknown": 0,
                         "unreported_spend": 0, "lost_spend": 0},
            "caches": {"policy_tokens": 2, "identities": 0},
        })
    );
    // The same document in another order is the same policy.
    let spaced = policy(&json!(["loopback"])).to_string().replace(',', " ,\n");
    assert_eq!(Policy::from_json(spaced.as_bytes()).unwrap().sha256(), digest.as_str().unwrap());
}

#[test]
fn what_nobody_could_mean_is_an_error() {
    for (status, expect) in [
        (json!({}), "error at `status`: the field `allow` is missing"),
        (
            json!({"allow": []}),
            "error at `status.allow`: expected `loopback` or `tokens`; without `status` no caller may ask",
        ),
        (json!({"allow": ["anybody"]}), "error at `status.allow[0]`: expected one of `loopback`, `tokens`"),
    ] {
        let mut document = policy(&json!(["loopback"]));
        document["status"] = status;
        let errors = Policy::from_json(document.to_string().as_bytes()).err().unwrap().to_string();
        assert_eq!(errors.lines().next(), Some(expect));
    }
    let mut document = policy(&json!(["tokens"]));
    document["status"] = json!({"allow": ["loopback"]});
    let errors = Policy::from_json(document.to_string().as_bytes()).err().unwrap().to_string();
    assert!(errors.starts_with("error at `tokens[0].providers[0]`: no such provider"), "{errors}");
}
