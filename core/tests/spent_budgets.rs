//! Budgets that are used up, and requests that could pass them.

use keyswap_core::base::Digest;
use keyswap_core::host::MemoryStore;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{Answer, at, nobody_is_asked, registry_policy};

/// The tokens that the registry has left.
const LEFT: u64 = 10_000;

fn budgeted(more: &Value) -> Plane {
    let budgets = with(&json!({"token": {"tokens": 1_000_000, "per": "day"}}), more);
    let registry = registry_policy(&json!({}))["registry"].take();
    let changes = json!({"registry": registry, "objects": "shared", "budgets": budgets});
    Plane::new(&with(&policy(&["openai"]), &changes))
}

fn begin(plane: &Plane, store: &MemoryStore) -> Exchange {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [
        Header { name: b"authorization", value: authorization.as_bytes() },
        Header { name: b"content-type", value: b"application/json" },
    ];
    let head = RequestHead::new(b"POST", b"/v1/chat/completions", &headers);
    plane.send(store, &head, at(0), &nobody_is_asked, |_| ()).1
}

/// The answer of a registry that grants what it has left.
fn leased(_: &str) -> Answer {
    let lease = json!({
        "subject": format!("token:{}", Digest::of(TOKEN.as_bytes()).to_hex()), "id": "lease-1", "unit": "tokens", "limit": 1_000_000,
        "granted": LEFT, "remaining": 0, "resets_at": "2027-06-30T00:00:00Z", "expires_in": 60,
    });
    Answer(200, json!({"leases": [lease]}).to_string())
}

/// Sends the end of a body whose beginning went on. No call gets an answer, and the host cannot wait. Returns the status of the reply;
/// 0 where the body goes on.
fn send_end(exchange: &mut Exchange, end: &str, seconds: i64, store: &MemoryStore) -> u16 {
    let mut sent = exchange.request_body(end.as_bytes(), true, at(seconds), store);
    for _ in 0..100 {
        match sent {
            Ok(slice) if slice.waits => sent = exchange.resume_request(at(seconds), store),
            Ok(_) => return 0,
            Err(refusal) => return refusal.reply.status,
        }
    }
    panic!("it waits for ever");
}

#[test]
fn a_body_in_parts_passes_no_spent_budget_where_the_registry_is_there() {
    for allows in [false, true] {
        for (output, seconds, expect) in [(100, 0, 0), (100, 30, 0), (20_000, 0, 429), (20_000, 30, 503)] {
            let plane = budgeted(&json!({"failure_mode_allow": allows}));
            let store = MemoryStore::default();
            let mut exchange = begin(&plane, &store);
            let begun = exchange.request_body(br#"{"model":"m","#, false, at(0), &store).unwrap();
            let fetch = begun.fetch.expect("a slice is leased ahead");
            plane.call(&fetch, at(0), &store, &leased);
            assert!(!exchange.resume_request(at(0), &store).unwrap().waits);
            let end = format!(r#""max_tokens":{output}}}"#);
            assert_eq!(send_end(&mut exchange, &end, seconds, &store), expect, "{allows} {output} {seconds}");
        }
    }
}

#[test]
fn a_request_passes_where_the_policy_says_so_while_the_registry_is_away() {
    for (allows, expect) in [(false, 503), (true, 0)] {
        let plane = budgeted(&json!({"failure_mode_allow": allows}));
        let store = MemoryStore::default();
        let mut exchange = begin(&plane, &store);
        let mut sent = exchange.request_body(br#"{"model":"m"}"#, true, at(0), &store);
        while let Ok(slice) = &sent
            && let Some(fetch) = &slice.fetch
        {
            plane.call(fetch, at(0), &store, &|_| Answer(0, String::new()));
            sent = exchange.resume_request(at(0), &store);
        }
        assert_eq!(sent.map_or_else(|refusal| refusal.reply.status, |_| 0), expect);
    }
}
