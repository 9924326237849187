//! The second look at callers whose exchange goes on, with `revoke: streams`.

use keyswap_core::base::Digest;
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::policy::Policy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support::with;
use crate::support::worker::{Answer, TOKEN, Worker, at, known, nobody_is_asked, registry_policy, status};

/// Returns the exchange of a request with the token.
fn begin(worker: &Worker, store: &MemoryStore, service: &dyn Fn(&str) -> Answer) -> Exchange {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    let (status, exchange) = worker.send(store, &head, at(0), service, status);
    assert_eq!(status, 200);
    exchange
}

fn ends() -> Value {
    registry_policy(&json!({"revoke": "streams"}))
}

#[test]
fn an_exchange_ends_once_the_registry_no_longer_lets_its_token_in() {
    let record = |changes: Value| {
        let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
        let record = json!({"sha256": sha256, "label": "l", "providers": ["openai"], "version": 2});
        Answer(200, with(&record, &changes).to_string())
    };
    for (answer, ended) in [
        (record(json!({})), None),
        (record(json!({"label": "other"})), None),
        (record(json!({"providers": ["openai:*"]})), None),
        // The request has named its models.
        (record(json!({"models": ["gpt-4o"]})), None),
        (record(json!({"status": "disabled"})), Some("token_invalid")),
        (record(json!({"expires_at": "2020-01-01T00:00:00Z"})), Some("token_expired")),
        (record(json!({"providers": ["gemini"]})), Some("provider_not_allowed")),
        (record(json!({"providers": ["openai:files"]})), Some("endpoint_class_not_allowed")),
        (Answer::unknown(), Some("token_invalid")),
        // What is not known ends nothing.
        (Answer(500, String::new()), None),
        (Answer(200, "{}".to_owned()), None),
        (Answer(0, String::new()), None),
    ] {
        let (worker, store) = (Worker::new(&ends()), MemoryStore::default());
        worker.hear(&store, at(0), &json!({"sequence": 1, "reset": false, "changes": []}));
        let exchange = begin(&worker, &store, &known);
        assert_eq!(worker.look_again(&store, &exchange, at(1), &nobody_is_asked), None);
        let change = json!({"kind": "token", "key": Digest::of(TOKEN.as_bytes()).to_hex(), "sequence": 2});
        worker.hear(&store, at(2), &json!({"sequence": 2, "reset": false, "changes": [change]}));
        let context = answer.1.clone();
        let found = worker.look_again(&store, &exchange, at(2), &|_| Answer(answer.0, answer.1.clone()));
        let ended = ended.map(|reason| format!("keyswap.ended.reason.{reason}.provider.openai"));
        assert_eq!(found, ended, "{context}");
    }
}

#[test]
fn an_exchange_is_judged_by_the_policy_that_is_in_force_now() {
    let token = json!({
        "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["openai"],
    });
    let policy =
        |changes: Value| with(&registry_policy(&json!({"registry": null, "revoke": "streams"})), &changes);
    let before = Worker::new(&policy(json!({"tokens": [token]})));
    for (changes, ended) in [
        (json!({"tokens": [token]}), None),
        (json!({"tokens": []}), Some("token_invalid")),
        (json!({"tokens": [with(&token, &json!({"status": "disabled"}))]}), Some("token_invalid")),
        (json!({"tokens": [with(&token, &json!({"providers": ["gemini"]}))]}), Some("provider_not_allowed")),
        (json!({"tokens": [], "revoke": "requests"}), None),
        (json!({"tokens": [], "revoke": null}), None),
        (json!({"tokens": [], "mode": "shadow"}), None),
    ] {
        let store = MemoryStore::default();
        let exchange = begin(&before, &store, &nobody_is_asked);
        assert!(exchange.may_end());
        let after = Worker::new(&policy(changes.clone()));
        let ended = ended.map(|reason| format!("keyswap.ended.reason.{reason}.provider.openai"));
        assert_eq!(after.look_again(&store, &exchange, at(1), &nobody_is_asked), ended, "{changes}");
    }
}

#[test]
fn a_session_ends_once_its_caller_may_use_other_models_than_when_it_began() {
    let policy = |models: &[&str], cheap: &[&str]| {
        let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
        let token = json!({"sha256": sha256, "label": "l", "providers": ["openai"], "models": models});
        let groups = json!({"cheap": cheap});
        let changes =
            json!({"registry": null, "revoke": "streams", "tokens": [token], "model_groups": groups});
        Worker::new(&registry_policy(&changes))
    };
    let begun = ["gpt-4o", "group:cheap"];
    for (models, cheap, ends) in [
        (&["gpt-4o", "group:cheap"][..], &["o3"][..], false),
        (&["group:cheap", "GPT-4o"], &["o3"], false),
        (&["gpt-4o"], &["o3"], true),
        (&["*"], &["o3"], true),
        (&["gpt-4o", "group:cheap"], &["o3", "o4"], true),
    ] {
        let (before, store) = (policy(&begun, &["o3"]), MemoryStore::default());
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"connection", value: b"upgrade" },
            Header { name: b"upgrade", value: b"websocket" },
        ];
        let head = RequestHead::new(b"GET", b"/v1/realtime?model=gpt-4o", &headers);
        let (status, exchange) = before.send(&store, &head, at(0), &nobody_is_asked, status);
        assert_eq!(status, 200);
        let found = policy(models, cheap).look_again(&store, &exchange, at(1), &nobody_is_asked);
        let expect = ends.then(|| "keyswap.ended.reason.model_not_allowed.provider.openai".to_owned());
        assert_eq!(found, expect, "{models:?} {cheap:?}");
    }
}

#[test]
fn a_policy_that_ends_no_exchange_keeps_nothing_of_the_caller() {
    let (worker, store) = (Worker::new(&registry_policy(&json!({}))), MemoryStore::default());
    assert!(!begin(&worker, &store, &known).may_end());
}

#[test]
fn it_needs_a_host_that_can_end_streams_and_a_registry_that_tells_of_changes() {
    let read = |document: &Value| Policy::from_json(document.to_string().as_bytes());
    let error = read(&ends()).unwrap().fits(Capabilities::COMPONENT).unwrap_err();
    assert!(error.to_string().contains("error at `revoke`"), "{error}");
    let mut introspected = ends();
    introspected["registry"]["introspection"] = json!({"providers": ["openai"]});
    let error = read(&introspected).unwrap_err();
    assert!(error.to_string().contains("error at `revoke`"), "{error}");
}
