//! Records that the registry signs, where a policy pins its keys: only what was signed for this very lookup, just now,
//! counts. Every other answer is a failed lookup, and never "unknown".

use std::cell::RefCell;

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::policy::Policy;
use keyswap_core::services::{MAX_RECORD_SECONDS, RECORD_TYPE};
use serde_json::{Value, json};

use crate::support::worker::{
    Answer, TOKEN, Worker, at, known, nobody_is_asked, registry_policy, registry_with,
};
use crate::support::{Signer, with};

const HEADER: &str = r#"{"alg":"ES256","kid":"r","typ":"keyswap-record+jws"}"#;

fn registry() -> Signer {
    Signer::new(1, "r")
}

/// Returns a policy that pins the registry's key.
fn pinned() -> Value {
    registry_with("keys", &json!({"keys": [registry().jwk()]}))
}

fn sha256(token: &str) -> String {
    Digest::of(token.as_bytes()).to_hex()
}

/// Returns what the registry signs about a token, at some second of the tests' clock.
fn payload(token: &str, second: i64, status: &str) -> Value {
    let digest = sha256(token);
    let record = json!({
        "sha256": digest, "label": "l", "providers": ["openai"], "version": 1, "status": status,
    });
    let issued_at = at(second).unix().0;
    json!({"sub": format!("token:{digest}"), "iat": issued_at, "exp": issued_at + 15, "record": record})
}

fn absence(token: &str, second: i64) -> Value {
    let mut payload = payload(token, second, "active");
    payload["record"] = Value::Null;
    payload
}

fn signed(payload: &Value) -> String {
    registry().sign_raw(HEADER, payload.to_string())
}

/// Asks once at second 0, with this answer to the lookup.
fn ask(policy: &Value, status: u16, body: &str) -> (u16, Vec<String>) {
    let worker = Worker::new(policy);
    let answer = |_: &str| Answer(status, body.to_owned());
    let status = worker.ask(&MemoryStore::default(), TOKEN, at(0), &answer);
    (status, worker.notes.take())
}

#[test]
fn what_the_registry_signed_for_this_lookup_counts() {
    assert_eq!(RECORD_TYPE, "keyswap-record+jws");
    let active = payload(TOKEN, 0, "active");
    let times = |iat: i64, exp: i64| {
        let now = at(0).unix().0;
        with(&active, &json!({"iat": now + iat, "exp": now + exp}))
    };
    for (what, status, payload, expect) in [
        ("a record", 200, active.clone(), 200),
        ("one of a disabled token", 200, payload(TOKEN, 0, "disabled"), 401),
        ("unknown", 404, absence(TOKEN, 0), 401),
        ("a registry whose clock is behind", 200, times(-15, 0), 200),
        ("a registry whose clock is ahead", 200, times(15, 30), 200),
        ("the longest validity", 200, times(0, MAX_RECORD_SECONDS), 200),
    ] {
        assert_eq!(ask(&pinned(), status, &signed(&payload)), (expect, vec![]), "{what}");
    }
    // During a change of keys both are pinned.
    let both = json!({"keys": [Signer::new(2, "s").jwk(), registry().jwk()]});
    assert_eq!(ask(&registry_with("keys", &both), 200, &signed(&active)).0, 200);
}

#[test]
fn whatever_else_comes_is_a_failed_lookup() {
    let active = payload(TOKEN, 0, "active");
    let other = Signer::new(2, "r");
    let header = |changes: Value| with(&serde_json::from_str(HEADER).unwrap(), &changes).to_string();
    let with_header = |changes: Value| registry().sign_raw(&header(changes), active.to_string());
    let changed = |changes: Value| signed(&with(&active, &changes));
    let without = |name: &str| {
        let mut payload = active.clone();
        payload.as_object_mut().unwrap().remove(name);
        signed(&payload)
    };
    let times = |iat: i64, exp: i64| {
        let now = at(0).unix().0;
        changed(json!({"iat": now + iat, "exp": now + exp}))
    };
    let good = signed(&active);
    let parts: Vec<&str> = good.split('.').collect();
    let of_other = signed(&payload("other-token-0123456789", 0, "active"));
    let of_other: Vec<&str> = of_other.split('.').collect();
    let swapped = with(&active, &json!({"record": payload("other-token-0123456789", 0, "active")["record"]}));
    for (what, status, body) in [
        ("no signature", 200, active["record"].to_string()),
        ("no signature, with all members", 200, active.to_string()),
        ("the words of a registry that does not sign", 404, r#"{"code":"unknown_token"}"#.to_owned()),
        ("a page", 404, "<html>".to_owned()),
        ("nothing", 200, String::new()),
        ("nothing, unchanged", 304, String::new()),
        ("the signed record, unchanged", 304, good.clone()),
        ("the key of another", 200, other.sign_raw(HEADER, active.to_string())),
        ("a key that is not pinned", 200, other.sign_raw(&header(json!({"kid": "s"})), active.to_string())),
        ("a payload under another's signature", 200, format!("{}.{}.{}", parts[0], of_other[1], parts[2])),
        ("a cut signature", 200, good[..good.len() - 4].to_owned()),
        ("no signature part", 200, format!("{}.{}.", parts[0], parts[1])),
        ("a record with more behind it", 200, format!("{good}.{}", parts[2])),
        ("a policy's type", 200, with_header(json!({"typ": "keyswap-policy+jws"}))),
        ("a token's type", 200, with_header(json!({"typ": "JWT"}))),
        ("no type", 200, registry().sign_raw(r#"{"alg":"ES256","kid":"r"}"#, active.to_string())),
        ("no algorithm", 200, with_header(json!({"alg": "none"}))),
        ("another algorithm", 200, with_header(json!({"alg": "EdDSA"}))),
        ("a symmetric algorithm", 200, with_header(json!({"alg": "HS256"}))),
        ("a key of its own", 200, other.sign_raw(&header(json!({"jwk": other.jwk()})), active.to_string())),
        ("critical extensions", 200, with_header(json!({"crit": ["exp"]}))),
        ("an unencoded payload", 200, with_header(json!({"b64": false}))),
        ("another token's record", 200, of_other.join(".")),
        ("another token's record under this name", 200, signed(&swapped)),
        ("another token's absence", 404, signed(&absence("other-token-0123456789", 0))),
        ("a person of that name", 200, changed(json!({"sub": format!("user:{}", sha256(TOKEN))}))),
        ("no subject", 200, without("sub")),
        ("no time of issue", 200, without("iat")),
        ("no expiry", 200, without("exp")),
        ("no record", 200, without("record")),
        ("a record that is none", 200, changed(json!({"record": true}))),
        ("times that are texts", 200, changed(json!({"iat": "now", "exp": "later"}))),
        ("an old record", 200, times(-30, -15)),
        ("a record of the future", 200, times(16, 31)),
        ("a record for ever", 200, times(0, MAX_RECORD_SECONDS + 1)),
        ("an expiry before the issue", 200, times(0, -1)),
        ("the least and the greatest time", 200, changed(json!({"iat": i64::MIN, "exp": i64::MAX}))),
        ("much too long", 200, changed(json!({"more": "x".repeat(70_000)}))),
    ] {
        let (status, notes) = ask(&pinned(), status, &body);
        assert_eq!(status, 503, "{what}");
        assert!(notes.len() <= 1 && notes.iter().all(|note| !note.contains(TOKEN)), "{what}: {notes:?}");
    }
    // A registry that is down says nothing of a token, as ever.
    for status in [0, 401, 403, 429, 500, 503] {
        assert_eq!(ask(&pinned(), status, &good).0, 503, "{status}");
    }
}

#[test]
fn a_fault_is_told_once_until_a_signed_record_comes() {
    let worker = Worker::new(&pinned());
    let store = MemoryStore::default();
    let unsigned = |path: &str| known(path);
    for number in 0..5 {
        let token = format!("any-token-{number:012}");
        assert_eq!(worker.ask(&store, &token, at(0), &unsigned), 503);
    }
    let notes = worker.notes.take();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("has the registry a `--records-key`?"), "{notes:?}");
    let good = |_: &str| Answer(200, signed(&payload(TOKEN, 1, "active")));
    assert_eq!(worker.ask(&store, TOKEN, at(1), &good), 200);
    assert_eq!(worker.ask(&store, "any-token-after-012345", at(1), &unsigned), 503);
    assert_eq!(worker.notes.take().len(), 1);
}

#[test]
fn a_replayed_record_is_used_for_no_longer_than_from_its_issue() {
    let store = MemoryStore::default();
    let worker = Worker::new(&pinned());
    let captured = signed(&payload(TOKEN, 0, "active"));
    let replay = |_: &str| Answer(200, captured.clone());
    // The attacker shows the record that it captured at second 0 as late as it passes, and never another.
    assert_eq!(worker.ask(&store, TOKEN, at(29), &replay), 200);
    for second in 30..60 {
        assert_eq!(worker.ask(&store, TOKEN, at(second), &replay), 200, "{second}: cached for 60 seconds");
    }
    for second in [60, 61, 80, 88, 100] {
        assert_eq!(worker.ask(&store, TOKEN, at(second), &replay), 503, "{second}");
        let new = Worker::new(&pinned());
        assert_eq!(new.ask(&store, TOKEN, at(second), &replay), 503, "{second}: nor from shared memory");
    }
}

#[test]
fn a_feed_that_nobody_signed_can_only_have_records_dropped() {
    let store = MemoryStore::default();
    let worker = Worker::new(&pinned());
    let feed = |sequence: u64, reset: bool, changes: Value| json!({"sequence": sequence, "history": "00000000000000aa", "reset": reset, "changes": changes});
    worker.hear(&store, at(0), &feed(1, false, json!([])));
    let good = |second: i64| move |_: &str| Answer(200, signed(&payload(TOKEN, second, "active")));
    assert_eq!(worker.ask(&store, TOKEN, at(0), &good(0)), 200);
    worker.hear(&store, at(1), &feed(1, true, json!([])));
    assert_eq!(worker.ask(&store, TOKEN, at(1), &good(1)), 200, "it is asked for again");
    let revoked = json!([{"kind": "token", "key": sha256(TOKEN), "sequence": 2}]);
    worker.hear(&store, at(2), &feed(2, false, revoked));
    // What was signed before the change is not believed, as of any registry.
    assert_ne!(worker.ask(&store, TOKEN, at(2), &good(1)), 200);
    let never = "never-minted-0123456789";
    let minted = json!([{"kind": "token", "key": sha256(never), "sequence": 3, "status": "active"}]);
    worker.hear(&store, at(3), &feed(3, false, minted));
    let unsigned = |_: &str| Answer::record(never, 3);
    assert_eq!(worker.ask(&store, never, at(3), &unsigned), 503);
}

#[test]
fn records_that_nobody_signed_are_not_taken_from_shared_memory() {
    let store = MemoryStore::default();
    let plain = Worker::new(&registry_policy(&json!({})));
    assert_eq!(plain.ask(&store, TOKEN, at(0), &known), 200);
    let worker = Worker::new(&pinned());
    assert_eq!(worker.ask(&store, TOKEN, at(1), &known), 503, "it asks for itself");
    let rotated = Worker::new(&registry_with("keys", &json!({"keys": [Signer::new(2, "r").jwk()]})));
    let good = |_: &str| Answer(200, signed(&payload(TOKEN, 20, "active")));
    assert_eq!(worker.ask(&store, TOKEN, at(20), &good), 200);
    assert_eq!(Worker::new(&pinned()).ask(&store, TOKEN, at(21), &nobody_is_asked), 200, "it is shared");
    assert_eq!(rotated.ask(&store, TOKEN, at(21), &good), 503, "not with those that pin other keys");
}

#[test]
fn only_a_policy_that_pins_keys_asks_for_signatures_and_checks_them() {
    for (policy, answer, expect) in [
        (registry_policy(&json!({})), known(""), ("application/json", 0)),
        (pinned(), Answer(200, signed(&payload(TOKEN, 0, "active"))), ("application/jose", 1)),
    ] {
        let worker = Worker::new(&policy);
        let store = MemoryStore::default();
        let answer = RefCell::new(Some(answer));
        let once = |_: &str| answer.take().expect("one call");
        assert_eq!(worker.ask(&store, TOKEN, at(0), &once), 200);
        assert_eq!(worker.ask(&store, TOKEN, at(1), &nobody_is_asked), 200);
        assert_eq!(worker.signatures(), expect.1, "{policy}");
        assert_eq!(worker.accepted(), expect.0);
    }
}

#[test]
fn keys_of_a_registry_are_keys_that_sign_records() {
    let errors = |registry: Value| {
        let document = registry_policy(&json!({})).to_string();
        let mut document: Value = serde_json::from_str(&document).unwrap();
        for (name, value) in registry.as_object().unwrap() {
            document["registry"][name] = value.clone();
        }
        let policy = Policy::from_json(document.to_string().as_bytes());
        policy.err().map(|errors| errors.to_string()).unwrap_or_default()
    };
    let keys = json!({"keys": [registry().jwk()]});
    assert_eq!(errors(json!({"keys": keys})), "");
    let private = with(&registry().jwk(), &json!({"d": "AQAB"}));
    for (registry, expect) in [
        (json!({"keys": {"keys": []}}), "error at `registry.keys`: expected at least one key in `keys`"),
        (
            json!({"keys": [registry().jwk()]}),
            "error at `registry.keys`: the key set is not one strict JSON object",
        ),
        (json!({"keys": {"keys": [private]}}), "the private part of the key is published with it"),
        (
            json!({"keys": keys, "introspection": {"providers": ["openai"]}}),
            "error at `registry.keys`: answers of token introspection are not signed",
        ),
    ] {
        let errors = errors(registry);
        assert!(errors.contains(expect), "{errors}");
    }
}
