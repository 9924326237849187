//! Bodies in slices, in a host that holds only the first of them.

use keyswap_core::request::Header;
use keyswap_core::services::Fetch;
use serde_json::json;

use crate::plane::{A, B, C, Plane, json_answer};
use crate::registry::Registry;
use crate::support::worker::at;

const BATCH: &str = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n";
const FILE: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";

/// The slices of a request: the one before which the answers come to calls that no slice waits for, and what became of it.
struct Sent<'s> {
    path: &'s str,
    content_type: &'s str,
    length: Option<u64>,
    slices: &'s [&'s str],
    answers_before: usize,
}

/// Sends the slices as Envoy does. Returns the outcome, and the number of slices that waited.
fn send(plane: &Plane<'_>, token: &str, sent: &Sent<'_>) -> (&'static str, usize) {
    let length = sent.length.map(|length| length.to_string()).unwrap_or_default();
    let headers = [
        Header { name: b"content-type", value: sent.content_type.as_bytes() },
        Header { name: b"content-length", value: length.as_bytes() },
    ];
    let headers = &headers[..if sent.length.is_some() { 2 } else { 1 }];
    let mut exchange = plane.begin(token, ("POST", sent.path), headers);
    let (mut on_the_way, mut waited): (Vec<Box<Fetch>>, usize) = (Vec::new(), 0);
    let answer = |calls: &mut Vec<Box<Fetch>>| calls.drain(..).for_each(|fetch| _ = plane.fetch(&fetch));
    for (index, slice) in sent.slices.iter().enumerate() {
        if index == sent.answers_before {
            answer(&mut on_the_way);
        }
        let mut judged = exchange.request_body(slice.as_bytes(), false, plane.now.get(), &plane.store);
        loop {
            let step = match judged {
                Ok(step) => step,
                Err(refusal) => {
                    answer(&mut on_the_way);
                    return (refusal.reason, waited);
                }
            };
            let Some(fetch) = step.fetch else {
                assert!(!step.waits, "a slice waits for nothing");
                break;
            };
            on_the_way.push(fetch);
            if !step.waits {
                break;
            }
            if index == 0 {
                waited += 1;
                answer(&mut on_the_way);
            }
            judged = exchange.resume_request(plane.now.get(), &plane.store);
        }
    }
    ("forward", waited)
}

fn naming(id: &str) -> [String; 3] {
    let line = json!({"body": {"previous_response_id": id}}).to_string();
    [[BATCH, FILE].concat(), line, "\r\n--b--\r\n".to_owned()]
}

#[test]
fn a_body_whose_answer_comes_too_late_is_judged_at_the_next_try() {
    let registry = Registry::default();
    let make = |plane: &Plane<'_>| {
        plane.post(A, "/openai/v1/responses", "{}", &json_answer(r#"{"id":"resp_1"}"#));
    };
    make(&Plane::new(&registry, &json!({})));
    for (id, token, outcome) in
        [("resp_1", A, "forward"), ("resp_1", B, "object_not_found"), ("resp_2", B, "object_not_found")]
    {
        let plane = Plane::new(&registry, &json!({}));
        let slices = naming(id);
        let slices: Vec<&str> = slices.iter().map(String::as_str).collect();
        let sent = Sent {
            path: "/openai/v1/files",
            content_type: "multipart/form-data; boundary=b",
            length: Some(300),
            slices: &slices,
            answers_before: usize::MAX,
        };
        let attempt = |plane: &Plane<'_>, token: &str| {
            registry.calls();
            let (outcome, waited) = send(plane, token, &sent);
            assert_eq!(waited, 0, "a slice was held behind one that went on");
            (outcome, registry.calls().len())
        };
        assert_eq!(attempt(&plane, token), ("registry_unavailable", 1), "{id}");
        assert_eq!(attempt(&plane, token), (outcome, 0), "{id}");
        // Of the other workers of the process, too.
        let other = Plane { store: plane.store, ..Plane::new(&registry, &json!({})) };
        other.now.set(at(1));
        assert_eq!(attempt(&other, token), (outcome, 0), "{id}");
        assert_eq!(attempt(&other, C), ("registry_unavailable", 1), "{id}: it is another caller's answer");
        other.now.set(at(29));
        assert_eq!(attempt(&other, token), (outcome, 0), "{id}");
        if token == B {
            other.now.set(at(31));
            assert_eq!(attempt(&other, token), ("registry_unavailable", 1), "{id}: it is forgotten");
        }
    }
}

#[test]
fn the_objects_of_a_body_are_asked_for_as_soon_as_they_come() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for id in ["resp_1", "resp_2"] {
        plane.post(A, "/openai/v1/responses", "{}", &json_answer(&json!({"id": id}).to_string()));
    }
    let (first, later) = (r#"{"previous_response_id":"resp_1","#, r#""conversation":"resp_2","#);
    let (text, end) = (r#""model":"m","input":"hi","#, r#""stream":false}"#);
    let short = Some(1000);
    for (length, slices, answers_before, outcome, held) in [
        // A short body waits with its first slice.
        (short, vec![first, text, end], usize::MAX, "forward", 1),
        // A long one and one of unknown length do not wait.
        (Some(10_000_000), vec![first, text, end], 2, "forward", 0),
        (None, vec![first, text, end], 2, "forward", 0),
        (None, vec![first, text, end], usize::MAX, "registry_unavailable", 0),
        // Behind a slice that went on none waits.
        (short, vec![" ", first, text, end], 3, "forward", 0),
        (short, vec![" ", first, text, end], usize::MAX, "registry_unavailable", 0),
        (short, vec![first, later, text, end], 3, "forward", 1),
        (short, vec![first, later, text, end], usize::MAX, "registry_unavailable", 1),
        // One call at a time: what comes meanwhile is asked for at the end.
        (None, vec![first, later, text, end], 3, "registry_unavailable", 0),
        (None, vec![first, text, later, end], 2, "registry_unavailable", 0),
        (None, vec![first, text, later, " ", end], 2, "registry_unavailable", 0),
    ] {
        let path = "/openai/v1/responses";
        let sent = Sent { path, content_type: "application/json", length, slices: &slices, answers_before };
        for token in [A, B] {
            let plane = Plane::new(&registry, &json!({}));
            let (found, waited) = send(&plane, token, &sent);
            if token == A {
                assert_eq!((found, waited), (outcome, held), "{length:?} {slices:?} {answers_before}");
            } else {
                assert_ne!(found, "forward", "{length:?} {slices:?} {answers_before}");
            }
        }
    }
}
