//! The signals for operators: keys of the policy that upstreams reject, and the age of key sets.

use keyswap_core::base::Digest;
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{AnswerHead, Request, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::FetchAnswer;
use keyswap_core::worker::{self, Entry, Exchange, Next};
use serde_json::{Value, json};

use crate::support::worker::{Secrets, Worker, at, nobody_is_asked, status};
use crate::support::{Signer, claims, oidc, with};

const TOKEN: &str = "ptk_of-a-caller-0123456789";

struct Head(&'static str, bool);

impl AnswerHead for Head {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        assert_eq!(name, ":status", "nothing else is read");
        Some(self.0.as_bytes().to_vec())
    }

    fn is_of_upstream(&self) -> bool {
        self.1
    }
}

fn policy(changes: &Value) -> Value {
    let document = json!({
        "version": "keyswap/v1",
        "tokens": [{"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["openai", "anthropic"]}],
        "credentials": {"openai": [{"env": "A"}], "anthropic": [{"env": "B"}]},
    });
    with(&document, changes)
}

fn send(worker: &Worker, name: &[u8], value: &str) -> (u16, Exchange) {
    let headers = [Header { name, value: value.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/messages", &headers);
    worker.send(&MemoryStore::default(), &head, at(0), &nobody_is_asked, status)
}

#[test]
fn a_key_of_the_policy_that_an_upstream_rejects_is_counted_once() {
    for (head, expect) in [
        (Head("401", true), Some("keyswap.key_rejections.status.401.provider.anthropic")),
        (Head("403", true), Some("keyswap.key_rejections.status.403.provider.anthropic")),
        (Head("401", false), None),
        (Head("200", true), None),
        (Head("404", true), None),
        (Head("4010", true), None),
        (Head("", true), None),
    ] {
        let worker = Worker::within(&policy(&json!({})), Secrets);
        let (status, exchange) = send(&worker, b"x-api-key", TOKEN);
        assert_eq!(status, 200);
        let rejected = || exchange.rejected(&head).map(|it| (it.metric, it.count, it.line));
        assert_eq!(rejected(), expect.map(|metric| (metric.to_owned(), 1, None)), "{}", head.0);
        assert_eq!(rejected(), None);
    }
}

#[test]
fn nothing_is_counted_of_a_key_that_is_the_callers_own_and_in_shadow_mode() {
    let signer = Signer::new(1, "k1");
    let own = policy(&json!({
        "issuers": [with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any", "slots": ["header:x-own"]}))],
        "credentials": {"anthropic": [{"request_header": "x-own"}]},
    }));
    let own = with(&own, &json!({"tokens": null}));
    let jwt = signer.sign(&claims());
    let (status, exchange) = send(&Worker::within(&own, Secrets), b"x-own", &jwt);
    assert_eq!(status, 200);
    assert!(exchange.rejected(&Head("401", true)).is_none());

    let (status, exchange) =
        send(&Worker::within(&policy(&json!({"mode": "shadow"})), Secrets), b"x-api-key", TOKEN);
    assert_eq!(status, 200);
    assert!(exchange.rejected(&Head("401", true)).is_none());
}

#[test]
fn the_counters_of_a_policy_begin_at_zero_once() {
    let worker = Worker::within(&policy(&json!({})), Secrets);
    let store = MemoryStore::default();
    let mut begun = worker.inner.due(at(0), &store).counters;
    begun.sort_by(|one, other| one.metric.cmp(&other.metric));
    let names: Vec<&str> = begun.iter().map(|it| it.metric.as_str()).collect();
    let expect = [
        "keyswap.key_rejections.status.401.provider.anthropic",
        "keyswap.key_rejections.status.401.provider.openai",
        "keyswap.key_rejections.status.403.provider.anthropic",
        "keyswap.key_rejections.status.403.provider.openai",
    ];
    assert_eq!(names, expect);
    assert!(begun.iter().all(|it| it.count == 0 && it.line.is_none()));
    assert!(worker.inner.due(at(1), &store).counters.is_empty());
}

#[test]
fn the_state_of_a_key_set_is_that_after_the_last_try() {
    let signer = Signer::new(1, "k1");
    let issuer = with(&oidc(&json!([])), &json!({"jwks": {"url": "https://id.example/keys"}}));
    let document =
        json!({"version": "keyswap/v1", "issuers": [issuer], "credentials": {"openai": [{"env": "A"}]}});
    let document =
        with(&document, &json!({"principals": [{"email": "alice@example.com", "providers": ["openai"]}]}));
    let policy = RolloutPolicy::from_json(document.to_string().as_bytes()).unwrap();
    let worker =
        worker::Worker::of(policy, Box::new(Secrets), Box::new(PureRust), Capabilities::ENVOY).unwrap();
    let (store, authorization) = (MemoryStore::default(), format!("Bearer {}", signer.sign(&claims())));
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    let keys = json!({"keys": [signer.jwk()]}).to_string();
    let found = FetchAnswer::Response { status: 200, body: keys.as_bytes() };
    for (second, answer, expect) in [
        (0, &FetchAnswer::Failed, (None, 1)),
        (60, &found, (Some(at(60).unix()), 0)),
        // The set of the cache is too old, and serves on.
        (60 + 1000, &FetchAnswer::Failed, (Some(at(60).unix()), 1)),
        (60 + 2000, &FetchAnswer::Failed, (Some(at(60).unix()), 2)),
        (60 + 3000, &found, (Some(at(3060).unix()), 0)),
    ] {
        let now = at(second);
        let request = Request { head: &head, now, store: &store };
        let in_force = worker.in_force(&store);
        let fetch = match in_force.judge(Entry::New, &request) {
            Next::Fetch(fetch, _) => *fetch,
            Next::Decide(mut decision, _) => {
                assert!(!matches!(decision.verdict, Verdict::Answer(_)));
                decision.follow_up.refresh.pop().unwrap_or_else(|| panic!("nothing is due after {second} s"))
            }
        };
        worker.accept(&fetch.key, fetch.as_of, answer, now, &store);
        let set = worker.key_set(&fetch.key).unwrap();
        assert_eq!(set.issuer, "id");
        assert_eq!((set.fetched_at, set.failures), expect, "after {second} s");
    }
}
