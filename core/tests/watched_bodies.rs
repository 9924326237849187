//! Bodies under policies that do not decide: in shadow mode, and beside a policy that does.

use keyswap_core::host::MemoryStore;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Exchange;
use serde_json::{Value, json};

use crate::support::plane::{Plane, TOKEN, policy};
use crate::support::with;
use crate::support::worker::{at, nobody_is_asked, status};

const CHAT: &str = "/v1/chat/completions";

/// Returns a policy under which the caller may use these models.
fn of_models(models: &Value, more: &Value) -> Value {
    let mut document = with(&policy(&["openai"]), more);
    document["tokens"][0]["models"] = models.clone();
    document
}

fn all() -> Value {
    policy(&["openai"])
}

fn shadow(models: &Value) -> Value {
    of_models(models, &json!({"mode": "shadow"}))
}

fn rollout(stable: &Value, candidate: &Value, percent: u8) -> Value {
    json!({"version": "keyswap-rollout/v1", "percent": percent, "stable": stable, "candidate": candidate})
}

fn begin(plane: &Plane, store: &MemoryStore) -> Exchange {
    let authorization = format!("Bearer {TOKEN}");
    let headers = [
        Header { name: b"authorization", value: authorization.as_bytes() },
        Header { name: b"content-type", value: b"application/json" },
    ];
    let head = RequestHead::new(b"POST", CHAT.as_bytes(), &headers);
    let (status, exchange) = plane.send(store, &head, at(0), &nobody_is_asked, status);
    assert_eq!(status, 200);
    exchange
}

/// Sends a body in slices of five bytes. Returns the reason of its refusal, and what the plane told of it.
fn send(plane: &Plane, body: &str) -> (Option<&'static str>, Vec<String>) {
    let store = MemoryStore::default();
    let mut exchange = begin(plane, &store);
    let slices: Vec<&[u8]> = body.as_bytes().chunks(5).collect();
    let mut refused = None;
    for (index, slice) in slices.iter().enumerate() {
        match exchange.request_body(slice, index + 1 == slices.len(), at(0), &store) {
            Ok(passed) => assert!(passed.bytes.is_none() && !passed.waits && passed.fetch.is_none()),
            Err(refusal) => {
                refused = Some(refusal.reason);
                break;
            }
        }
    }
    (refused, end(plane, &mut exchange, &store))
}

fn end(plane: &Plane, exchange: &mut Exchange, store: &MemoryStore) -> Vec<String> {
    let mut observed = plane.observed.take();
    observed.extend(exchange.end(at(1), store).observations);
    assert!(exchange.end(at(1), store).observations.is_empty(), "an exchange ends once");
    let words = observed.into_iter().map(|it| it.line.unwrap_or(it.metric));
    words.filter(|it| !it.starts_with("keyswap.comparisons")).collect()
}

fn body(model: &str) -> String {
    json!({"model": model, "messages": [], "stream": true}).to_string()
}

#[test]
fn in_shadow_mode_a_body_that_would_be_refused_passes_and_is_told_when_it_has_passed() {
    for (models, body, reason) in [
        (json!(["gpt-a"]), body("gpt-a"), None),
        (json!(["gpt-a"]), body("gpt-b"), Some("model_not_allowed")),
        (json!(["gpt-a"]), json!({"messages": []}).to_string(), Some("model_missing")),
        (json!(["gpt-a"]), "model=gpt-a".to_owned(), Some("body_invalid")),
        (json!(["gpt-a"]), format!("{}{}", body("gpt-a"), body("gpt-b")), Some("body_invalid")),
        (json!(["gpt-a"]), r#"{"model": "gpt-a", "#.to_owned(), Some("body_invalid")),
    ] {
        let plane = Plane::new(&shadow(&models));
        let (refused, told) = send(&plane, &body);
        assert_eq!(refused, None, "{body}");
        let [told] = &told[..] else { panic!("{told:?}") };
        match reason {
            None => {
                assert_eq!(told, "keyswap.shadow_decisions.verdict.forward.reason.allowed.provider.openai");
            }
            Some(reason) => {
                let line: Value = serde_json::from_str(told).unwrap();
                assert_eq!(
                    (&line["event"], &line["reason"]),
                    (&json!("would_refuse"), &json!(reason)),
                    "{body}"
                );
                assert_eq!((&line["label"], &line["provider"]), (&json!("l"), &json!("openai")));
            }
        }
    }
}

#[test]
fn a_body_whose_head_states_its_length_is_refused_with_its_last_byte() {
    let whole = body("gpt-a");
    let cut = &whole[..whole.len() - 1];
    for (sent, length, expect) in [
        (whole.as_str(), whole.len(), Ok(())),
        (cut, cut.len(), Err("body_invalid")),
        ("{}", 2, Ok(())),
        (r#"{"messages": []}"#, 16, Err("model_missing")),
        // The rest is still to come.
        (cut, whole.len(), Ok(())),
    ] {
        let plane = Plane::new(&of_models(&json!(["gpt-a"]), &json!({})));
        let store = MemoryStore::default();
        let (authorization, length) = (format!("Bearer {TOKEN}"), length.to_string());
        let headers = [
            Header { name: b"authorization", value: authorization.as_bytes() },
            Header { name: b"content-type", value: b"application/json" },
            Header { name: b"content-length", value: length.as_bytes() },
        ];
        let head = RequestHead::new(b"POST", CHAT.as_bytes(), &headers);
        let (_, mut exchange) = plane.send(&store, &head, at(0), &nobody_is_asked, status);
        let (most, last) = sent.as_bytes().split_at(sent.len() - 1);
        assert!(exchange.request_body(most, false, at(0), &store).is_ok(), "{sent}");
        // The host says behind it that nothing follows.
        let judged = exchange.request_body(last, false, at(0), &store);
        assert_eq!(judged.map(|_| ()).map_err(|refusal| refusal.reason), expect, "{sent}");
    }
}

#[test]
fn what_the_head_alone_decides_is_told_at_once() {
    let plane = Plane::new(&with(&all(), &json!({"mode": "shadow"})));
    let store = MemoryStore::default();
    let exchange = begin(&plane, &store);
    assert!(!exchange.judges_request() && !exchange.has_end());
    let told = plane.observed.take();
    assert_eq!(told[0].metric, "keyswap.shadow_decisions.verdict.forward.reason.allowed.provider.openai");
}

/// Returns a text of a client in one frame, whose mask changes nothing.
fn frame(text: &str, is_compressed: bool) -> Vec<u8> {
    let first = if is_compressed { 0xc1 } else { 0x81 };
    let length = 0x80 | u8::try_from(text.len()).unwrap();
    [&[first, length, 0, 0, 0, 0][..], text.as_bytes()].concat()
}

#[test]
fn messages_are_read_where_they_are_not_compressed_and_told_to_be_unreadable_where_they_are() {
    let update = |model: &str| json!({"session": {"model": model}}).to_string();
    for (text, is_compressed, reason) in [
        (update("gpt-a"), false, None),
        (update("gpt-b"), false, Some("model_not_allowed")),
        (update("gpt-a"), true, Some("body_unreadable")),
    ] {
        let plane = Plane::new(&shadow(&json!(["gpt-a"])));
        let store = MemoryStore::default();
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            ("authorization", authorization.as_str()),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-key", "x"),
            ("sec-websocket-extensions", "permessage-deflate"),
        ];
        let headers = headers.map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() });
        let head = RequestHead::new(b"GET", b"/v1/realtime?model=gpt-a", &headers);
        let (_, mut exchange) = plane.send(&store, &head, at(0), &nobody_is_asked, status);
        let passed = exchange.request_body(&frame(&text, is_compressed), false, at(0), &store).unwrap();
        assert!(passed.bytes.is_none() && !passed.waits, "{text}");
        let told = end(&plane, &mut exchange, &store);
        let reason = reason.unwrap_or("reason.allowed");
        assert!(told.len() == 1 && told[0].contains(reason), "{text}, {is_compressed}: {told:?}");
    }
}

#[test]
fn in_shadow_mode_nothing_is_reserved_added_or_cut() {
    let more = json!({"mode": "shadow", "rate_limit": {"tokens": 1, "per": "1d"}, "metering": {}});
    let plane = Plane::new(&of_models(&json!(["gpt-a"]), &more));
    for _ in 0..3 {
        let (refused, told) = send(&plane, &body("gpt-a"));
        assert_eq!((refused, told.len()), (None, 1), "{told:?}");
        assert!(told[0].ends_with("reason.allowed.provider.openai"), "{told:?}");
    }
}

#[test]
fn two_policies_are_compared_by_the_bodies_too() {
    let (a, b) = (of_models(&json!(["gpt-a"]), &json!({})), of_models(&json!(["gpt-b"]), &json!({})));
    let c = "model_not_allowed";
    for (stable, candidate, percent, model, refused, difference) in [
        (&all(), &a, 0, "gpt-a", None, None),
        (&all(), &a, 0, "gpt-b", None, Some(("allowed", c))),
        (&all(), &a, 100, "gpt-a", None, None),
        (&all(), &a, 100, "gpt-b", Some(c), Some(("allowed", c))),
        (&a, &all(), 0, "gpt-b", Some(c), Some((c, "allowed"))),
        (&a, &all(), 100, "gpt-b", None, Some((c, "allowed"))),
        (&a, &b, 0, "gpt-a", None, Some(("allowed", c))),
        (&a, &b, 100, "gpt-b", None, Some((c, "allowed"))),
        (&a, &b, 0, "gpt-c", Some(c), None),
        // A candidate in shadow mode and a stable policy in shadow mode decide nothing.
        (&all(), &shadow(&json!(["gpt-a"])), 0, "gpt-b", None, Some(("allowed", c))),
    ] {
        let plane = Plane::new(&rollout(stable, candidate, percent));
        let (found, told) = send(&plane, &body(model));
        assert_eq!(found, refused, "{model} at {percent} %: {told:?}");
        let told: Vec<Value> = told.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: Vec<(&str, &str)> = told
            .iter()
            .map(|line| (line["stable"].as_str().unwrap(), line["candidate"].as_str().unwrap()))
            .collect();
        assert_eq!(found, Vec::from_iter(difference), "{model} at {percent} %");
    }
}

#[test]
fn a_stable_policy_in_shadow_mode_and_its_candidate_are_both_told() {
    let plane = Plane::new(&rollout(&shadow(&json!(["gpt-a"])), &all(), 0));
    let (refused, told) = send(&plane, &body("gpt-b"));
    assert_eq!((refused, told.len()), (None, 2), "{told:?}");
    for event in ["would_refuse", "diverged"] {
        assert!(told.iter().any(|line| line.contains(event)), "{event}: {told:?}");
    }
}

#[test]
fn a_refusal_by_the_body_counts_for_the_fallback() {
    let mut document = rollout(&all(), &of_models(&json!(["gpt-a"]), &json!({})), 100);
    document["fallback"] = json!({"refusals": 1, "per": "5m"});
    let plane = Plane::new(&document);
    let (refused, told) = send(&plane, &body("gpt-b"));
    assert_eq!(refused, Some("model_not_allowed"));
    assert!(told.iter().any(|line| line.contains(r#""event":"fallback""#)), "{told:?}");
    // The stable policy decides for all again, and has no rule on bodies.
    assert_eq!(send(&plane, &body("gpt-b")).0, None);
}

#[test]
fn a_body_that_breaks_off_is_judged_as_far_as_it_came() {
    let plane = Plane::new(&shadow(&json!(["gpt-a"])));
    let store = MemoryStore::default();
    let mut exchange = begin(&plane, &store);
    exchange.request_body(br#"{"model": "gpt-b", "mess"#, false, at(0), &store).unwrap();
    let told = end(&plane, &mut exchange, &store);
    assert!(told[0].contains("model_not_allowed"), "{told:?}");
}
