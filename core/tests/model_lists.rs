//! A list of models, through the whole engine: a caller sees those that it may use.

use keyswap_core::host::MemoryStore;
use keyswap_core::judge::{AnswerFields, Decision, Verdict};
use keyswap_core::request::{Header, RequestHead};
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::worker::{at, nobody_is_asked};

/// Returns the list as a caller with these models gets it, in slices of this size.
fn seen(models: &Value, list: &str, size: usize) -> Result<String, ()> {
    let (mut policy, store) = (policy(&["openai"]), MemoryStore::default());
    policy["tokens"][0]["models"] = models.clone();
    let authorization = format!("Bearer {TOKEN}");
    let headers = [Header { name: b"authorization", value: authorization.as_bytes() }];
    let head = RequestHead::new(b"GET", b"/v1/models", &headers);
    let asks_plain = |decision: &Decision<'_>| match &decision.verdict {
        Verdict::Forward(rewrite) => rewrite.set.iter().any(|(name, _)| *name == "accept-encoding"),
        _ => false,
    };
    let plane = Plane::new(&policy);
    let (is_plain, mut exchange) = plane.send(&store, &head, at(0), &nobody_is_asked, asks_plain);
    assert_eq!(is_plain, exchange.reads_answer(), "a list that is read must not come compressed");
    exchange.begin_answer(&AnswerFields { status: 200, fields: &[(b"content-type", b"application/json")] });
    let mut seen = Vec::new();
    for (number, slice) in list.as_bytes().chunks(size).enumerate() {
        let is_last = (number + 1) * size >= list.len();
        let passed = exchange.answer_body(slice, is_last, at(0), &store).map_err(|_| ())?;
        seen.extend(passed.bytes.unwrap_or_else(|| slice.to_vec()));
    }
    Ok(String::from_utf8(seen).unwrap())
}

#[test]
fn a_caller_sees_the_models_that_it_may_use_in_any_slices() {
    let list =
        json!({"object": "list", "data": [{"id": "gpt-5"}, {"id": "o3"}, {"id": "gpt-5-mini"}]}).to_string();
    for size in [1, 7, list.len()] {
        let own: Value = serde_json::from_str(&seen(&json!(["gpt-5*"]), &list, size).unwrap()).unwrap();
        assert_eq!(own, json!({"object": "list", "data": [{"id": "gpt-5"}, {"id": "gpt-5-mini"}]}));
        assert_eq!(seen(&json!(["*"]), &list, size).unwrap(), list);
    }
    for (broken, size) in [(r#"{"data":[{"id":"gpt-5"}"#, 100), (r#"{"data":[{"id":"gpt-5"},,]}"#, 5)] {
        assert_eq!(seen(&json!(["gpt-5*"]), broken, size), Err(()), "{broken}");
    }
}
