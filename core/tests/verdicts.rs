//! A verdict on an identity JWT is remembered for that token only, with those keys, in that slot, and as long as its dates
//! hold.

use keyswap_core::base::Moment;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::Decision;
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::worker::{Answer, Worker, at, nobody_is_asked, registry_policy, status, unknown};
use crate::support::{NOW, Signer, b64u, claims, oidc, with};

const HOUR: i64 = 3600;

/// Returns a policy with these issuers, which admit every subject.
fn policy(issuers: &Value) -> Value {
    registry_policy(&json!({"registry": null, "issuers": issuers}))
}

fn for_anybody(issuer: &Value) -> Value {
    with(issuer, &json!({"principals": "any"}))
}

/// Returns the outcome of a request with a token in this header.
fn ask_in(worker: &Worker, header: &str, value: &str, now: Moment) -> (u16, &'static str) {
    let headers = [Header { name: header.as_bytes(), value: value.as_bytes() }];
    let path = b"/v1/chat/completions";
    let head = RequestHead::new(b"POST", path, &headers);
    let outcome = |decision: &Decision<'_>| (status(decision), decision.reason_code());
    worker.decide(&MemoryStore::default(), &head, now, &nobody_is_asked, outcome)
}

fn ask(worker: &Worker, token: &str, now: Moment) -> (u16, &'static str) {
    ask_in(worker, "authorization", &format!("Bearer {token}"), now)
}

#[test]
fn a_signature_is_computed_once_while_its_token_is_in_use() {
    let signer = Signer::new(1, "k1");
    let worker = Worker::new(&policy(&json!([for_anybody(&oidc(&json!([signer.jwk()])))])));
    let (alice, bob) = (
        signer.sign(&claims()),
        signer.sign(&with(&claims(), &json!({"sub": "u2", "email": "bob@example.com"}))),
    );
    for (token, computed) in [(&alice, 1), (&alice, 0), (&bob, 1), (&alice, 0), (&bob, 0)] {
        assert_eq!(ask(&worker, token, at(0)), (200, "allowed"));
        assert_eq!(worker.signatures(), computed);
    }
}

#[test]
fn j16_a_token_that_differs_in_one_byte_has_no_part_in_a_verdict() {
    let signer = Signer::new(1, "k1");
    let worker = Worker::new(&policy(&json!([for_anybody(&oidc(&json!([signer.jwk()])))])));
    let good = signer.sign(&claims());
    assert_eq!(ask(&worker, &good, at(0)), (200, "allowed"));
    for place in 0..good.len() {
        let mut other = good.clone().into_bytes();
        other[place] = if other[place] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        // Without its shape the token is no JWT, and no other known token.
        assert_eq!(ask(&worker, &other, at(0)).0, 401, "byte {place}");
    }
    let (text, signature) = good.rsplit_once('.').unwrap();
    // The same beginning, with another payload or another signature.
    let payload = b64u(with(&claims(), &json!({"sub": "admin"})).to_string());
    let forged = format!("{}.{payload}.{signature}", text.split_once('.').unwrap().0);
    let signed_by_another = format!("{text}.{}", b64u(Signer::new(9, "k1").signature(text)));
    for other in [forged, signed_by_another] {
        worker.signatures();
        for _ in 0..2 {
            assert_eq!(ask(&worker, &other, at(0)), (401, "token_invalid"));
        }
        assert_eq!(worker.signatures(), 2, "what does not hold is not remembered");
    }
    for other in [format!("{good}A"), format!("{good}="), format!("{text}."), format!("{text}.{signature}.x")]
    {
        assert_eq!(ask(&worker, &other, at(0)).0, 401, "{other}");
    }
    assert_eq!(ask(&worker, &good, at(0)), (200, "allowed"));
}

#[test]
fn a_token_that_is_remembered_is_judged_by_the_clock_of_each_request() {
    let signer = Signer::new(1, "k1");
    let worker = Worker::new(&policy(&json!([for_anybody(&oidc(&json!([signer.jwk()])))])));
    let dates = json!({"iat": NOW - 100, "nbf": NOW - 100, "exp": NOW + 300});
    let token = signer.sign(&with(&claims(), &dates));
    // The clocks may be a minute apart.
    for (second, expect) in [
        (0, (200, "allowed")),
        (359, (200, "allowed")),
        (360, (401, "token_expired")),
        (10 * HOUR, (401, "token_expired")),
        (-160, (200, "allowed")),
        (-161, (401, "token_invalid")),
        (0, (200, "allowed")),
    ] {
        assert_eq!(ask(&worker, &token, at(second)), expect, "at {second} s");
    }
    assert_eq!(worker.signatures(), 1);
}

#[test]
fn a_key_takes_its_verdicts_with_it() {
    let (old, new, of_same_name) = (Signer::new(1, "old"), Signer::new(2, "new"), Signer::new(3, "old"));
    let jwks = json!({"url": "https://id.example/keys", "cache_duration": "10m"});
    let issuer = for_anybody(&with(&oidc(&json!([])), &json!({"jwks": jwks})));
    for successor in [&new, &of_same_name] {
        let (worker, store) = (Worker::new(&policy(&json!([issuer]))), MemoryStore::default());
        let publishes = |signer: &Signer| Answer(200, json!({"keys": [signer.jwk()]}).to_string());
        let token = old.sign(&with(&claims(), &json!({"exp": NOW + 10 * HOUR})));
        assert_eq!(worker.ask(&store, &token, at(0), &|_| publishes(&old)), 200);
        assert_eq!(worker.ask(&store, &token, at(1), &nobody_is_asked), 200);
        assert_eq!(
            worker.ask(&store, &token, at(2 * HOUR), &|_| publishes(successor)),
            401,
            "{}",
            successor.kid
        );
        // The key comes back.
        assert_eq!(worker.ask(&store, &token, at(4 * HOUR), &|_| publishes(&old)), 200);
    }
}

#[test]
fn a_set_that_is_fetched_anew_and_has_not_changed_keeps_its_verdicts() {
    let (signer, other) = (Signer::new(1, "k1"), Signer::new(2, "k2"));
    let jwks = json!({"url": "https://id.example/keys", "cache_duration": "10m"});
    let issuer = for_anybody(&with(&oidc(&json!([])), &json!({"jwks": jwks})));
    let (worker, store) = (Worker::new(&policy(&json!([issuer]))), MemoryStore::default());
    let token = signer.sign(&with(&claims(), &json!({"exp": NOW + 10 * HOUR})));
    for (second, keys, computed) in [
        (0, json!([signer.jwk()]), 1),
        (HOUR, json!([signer.jwk()]), 0),
        (2 * HOUR, json!([signer.jwk(), other.jwk()]), 1),
        (3 * HOUR, json!([other.jwk(), signer.jwk()]), 1),
        (4 * HOUR, json!([other.jwk(), signer.jwk()]), 0),
    ] {
        let keys = json!({ "keys": keys }).to_string();
        assert_eq!(worker.ask(&store, &token, at(second), &|_| Answer(200, keys.clone())), 200);
        assert_eq!((worker.calls(), worker.signatures()), (1, computed), "at {second} s");
    }
}

#[test]
fn a_caller_with_a_very_long_name_is_judged_each_time() {
    let signer = Signer::new(1, "k1");
    let worker = Worker::new(&policy(&json!([for_anybody(&oidc(&json!([signer.jwk()])))])));
    let token = signer.sign(&with(&claims(), &json!({"sub": "u".repeat(2000)})));
    for _ in 0..2 {
        assert_eq!(ask(&worker, &token, at(0)), (200, "allowed"));
        assert_eq!(worker.signatures(), 1);
    }
}

#[test]
fn while_an_issuer_cannot_be_reached_its_verdicts_last_as_long_as_its_keys() {
    let signer = Signer::new(1, "k1");
    let jwks = json!({"url": "https://id.example/keys", "cache_duration": "10m", "stale_if_error": "1h"});
    let issuer = for_anybody(&with(&oidc(&json!([])), &json!({"jwks": jwks})));
    let (worker, store) = (Worker::new(&policy(&json!([issuer]))), MemoryStore::default());
    let token = signer.sign(&with(&claims(), &json!({"exp": NOW + 10 * HOUR})));
    let keys = Answer(200, json!({"keys": [signer.jwk()]}).to_string());
    assert_eq!(worker.ask(&store, &token, at(0), &|_| Answer(keys.0, keys.1.clone())), 200);
    assert_eq!(worker.signatures(), 1);
    for (second, expect) in [(HOUR / 2, 200), (HOUR, 200), (2 * HOUR, 503)] {
        assert_eq!(
            worker.ask(&store, &token, at(second), &|_| Answer(0, String::new())),
            expect,
            "{second} s"
        );
        assert_eq!(worker.signatures(), 0);
    }
}

#[test]
fn a_token_counts_only_where_its_issuer_is_believed() {
    let signer = Signer::new(1, "k1");
    let keys = json!([signer.jwk()]);
    let own_header = json!({"name": "own", "issuer": "https://own.example", "slots": ["header:x-id"]});
    let worker = Worker::new(&policy(&json!([
        for_anybody(&oidc(&keys)),
        for_anybody(&with(&oidc(&keys), &own_header)),
    ])));
    let token = signer.sign(&claims());
    assert_eq!(ask(&worker, &token, at(0)), (200, "allowed"));
    assert_eq!(ask_in(&worker, "x-id", &token, at(0)), (401, "token_invalid"));
    assert_eq!(ask(&worker, &token, at(0)), (200, "allowed"));
    let own = signer.sign(&with(&claims(), &json!({"iss": "https://own.example"})));
    assert_eq!(ask_in(&worker, "x-id", &own, at(0)), (200, "allowed"));
}

#[test]
fn what_is_remembered_of_a_token_says_nothing_of_the_person() {
    let signer = Signer::new(1, "k1");
    let policy = registry_policy(&json!({"issuers": [oidc(&json!([signer.jwk()]))]}));
    let (worker, store) = (Worker::new(&policy), MemoryStore::default());
    let token = signer.sign(&with(&claims(), &json!({"exp": NOW + 10 * HOUR})));
    let person = |providers: Value, version: u64| {
        move |_: &str| {
            let person = json!({"email": "alice@example.com", "providers": providers, "version": version});
            Answer(200, person.to_string())
        }
    };
    // A record is cached for a minute.
    for (second, service, expect) in [
        (0, person(json!(["openai"]), 1), 200),
        (61, person(json!(["anthropic"]), 2), 403),
        (122, person(json!(["openai"]), 3), 200),
    ] {
        assert_eq!(worker.ask(&store, &token, at(second), &service), expect, "at {second} s");
    }
    let disabled = |_: &str| {
        let person = json!({
            "email": "alice@example.com", "providers": ["openai"], "status": "disabled", "version": 4,
        });
        Answer(200, person.to_string())
    };
    assert_eq!(worker.ask(&store, &token, at(183), &disabled), 403);
    assert_eq!(worker.ask(&store, &token, at(244), &person(json!(["openai"]), 5)), 200);
    assert_eq!(worker.ask(&store, &token, at(305), &unknown), 403);
    assert_eq!(worker.signatures(), 1);
}
