//! Tokens that come again are found without their digest: each is judged as it was the first time, and as no other.

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{Decision, Verdict};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::worker::{Answer, TOKEN, Worker, at, known, nobody_is_asked, registry_policy};
use crate::support::{Signer, oidc, with};

/// The number of times that each token comes.
const TIMES: i64 = 3;

/// Returns a policy that knows these tokens, each by a label.
fn policy(tokens: &[(&str, &str)]) -> Value {
    let signer = Signer::new(1, "key-1");
    let token = |(token, label): &(&str, &str)| json!({"sha256": Digest::of(token.as_bytes()).to_hex(), "label": label, "providers": ["openai"]});
    json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "tokens": tokens.iter().map(token).collect::<Vec<_>>(),
        "issuers": [with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any"}))],
    })
}

/// Returns the label of the caller of a request that is forwarded; the reason of any other.
fn caller(decision: &Decision<'_>) -> String {
    match decision.verdict {
        Verdict::Forward(_) => decision.facts.principal.as_ref().unwrap().label().to_owned(),
        _ => decision.reason_code().to_owned(),
    }
}

fn ask(worker: &Worker, lines: &[(&str, &str)], path: &str, second: i64) -> String {
    let lines: Vec<Header<'_>> =
        lines.iter().map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() }).collect();
    let head = RequestHead::new(b"POST", path.as_bytes(), &lines);
    worker.decide(&MemoryStore::default(), &head, at(second), &nobody_is_asked, caller)
}

#[test]
fn a_token_that_comes_again_is_the_same_caller_in_every_slot_and_form() {
    const PATH: &str = "/openai/v1/chat/completions";
    // The second begins as a JWT does, and the last is no element of a list.
    let tokens = [
        ("ptk_0123456789-0123456789-0123456789", "usual"),
        ("eyJ-begins-as-a-jwt-and-is-none", "jwt-like"),
        ("ptk_0123456789-0123456789-0123456788", "alike"),
        ("s", "short"),
        ("a,b-0123456789-0123456789", "list"),
    ];
    let worker = Worker::new(&policy(&tokens));
    for second in 0..TIMES {
        for (token, label) in tokens {
            let bearer = format!("Bearer {token}");
            let expect = if label == "list" { "credential_ambiguous" } else { label };
            assert_eq!(ask(&worker, &[("Authorization", &bearer)], PATH, second), expect, "{token}");
            assert_eq!(ask(&worker, &[("x-api-key", token)], PATH, second), expect, "{token}");
            let encoded = token.replace(',', "%2C");
            assert_eq!(ask(&worker, &[], &format!("{PATH}?key={encoded}"), second), label, "{token}");
            for other in ["x", "", "0"] {
                let longer = format!("Bearer {token}{other}x");
                assert!(
                    matches!(
                        ask(&worker, &[("authorization", &longer)], PATH, second).as_str(),
                        "token_invalid" | "credential_ambiguous"
                    ),
                    "{longer}"
                );
            }
            let two = format!("Bearer {token}, Bearer {token}");
            assert_eq!(ask(&worker, &[("authorization", &two)], PATH, second), "credential_ambiguous");
            let lines = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
            assert_eq!(ask(&worker, &lines, PATH, second), "credential_ambiguous");
        }
    }
}

#[test]
fn a_token_that_comes_again_is_refused_once_the_registry_says_so() {
    let disabled = |_: &str| {
        let sha256 = Digest::of(TOKEN.as_bytes()).to_hex();
        let record = json!({"sha256": sha256, "label": "l", "providers": ["openai"], "version": 2});
        Answer(200, with(&record, &json!({"status": "disabled"})).to_string())
    };
    for (service, expect) in [
        (&(|_: &str| Answer::record(TOKEN, 2)) as &dyn Fn(&str) -> Answer, 200),
        (&disabled, 401),
        (&|_: &str| Answer::unknown(), 401),
    ] {
        let (worker, store) = (Worker::new(&registry_policy(&json!({}))), MemoryStore::default());
        worker.hear(&store, at(0), &json!({"sequence": 1, "reset": false, "changes": []}));
        for _ in 0..TIMES {
            assert_eq!(worker.ask(&store, TOKEN, at(0), &known), 200);
        }
        let change = json!({"kind": "token", "key": Digest::of(TOKEN.as_bytes()).to_hex(), "sequence": 2});
        worker.hear(&store, at(1), &json!({"sequence": 2, "reset": false, "changes": [change]}));
        for _ in 0..TIMES {
            assert_eq!(worker.ask(&store, TOKEN, at(1), service), expect);
        }
    }
}

#[test]
fn a_token_that_no_registry_can_hold_is_unknown_and_nothing_is_asked() {
    let worker = Worker::new(&registry_policy(&json!({})));
    let long = "x".repeat(4097);
    for token in ["s", "eleven-long", "with-a-\u{7f}-in-it", &long] {
        assert_eq!(worker.ask(&MemoryStore::default(), token, at(0), &nobody_is_asked), 401, "{token}");
    }
    assert_eq!(worker.calls(), 0);
}
