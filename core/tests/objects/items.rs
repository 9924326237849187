//! Items: the parts of a response or a conversation, which later requests name by their ids.

use serde_json::{Value, json};

use crate::plane::{A, Answered, B, Got, Plane, json_answer};
use crate::registry::Registry;
use crate::wire;

const RESPONSES: &str = "/openai/v1/responses";

/// Returns a request that names an item without saying it.
fn naming(id: &str) -> String {
    json!({"model": "m", "input": [{"type": "item_reference", "id": id}, {"role": "user", "content": "x"}]})
        .to_string()
}

fn reason(plane: &Plane<'_>, token: &str, id: &str) -> String {
    plane.post(token, RESPONSES, &naming(id), &json_answer("{}")).reason().to_owned()
}

#[test]
fn an_item_is_its_callers_as_far_as_it_was_kept() {
    let items = r#"[{"type":"reasoning","id":"rs_1"},{"type":"message","id":"msg_1"},{"type":"web_search_call","id":"ws_1"}]"#;
    let of_response = format!(r#"{{"id":"made","output":{items}}}"#);
    let of_list = format!(r#"{{"object":"list","data":{items}}}"#);
    for (request, body, answer, kept) in [
        (("POST", RESPONSES), "{}", &of_response, vec!["rs_1", "msg_1", "ws_1"]),
        (("POST", RESPONSES), r#"{"store":false}"#, &of_response, vec!["ws_1"]),
        (("GET", "/openai/v1/responses/own"), "", &of_response, vec!["rs_1", "msg_1", "ws_1"]),
        (("GET", "/openai/v1/responses/own/input_items"), "", &of_list, vec!["rs_1", "msg_1", "ws_1"]),
        (("POST", "/openai/v1/conversations/conv/items"), "{}", &of_list, vec!["rs_1", "msg_1", "ws_1"]),
        (("GET", "/openai/v1/conversations/conv/items"), "", &of_list, vec!["rs_1", "msg_1", "ws_1"]),
        (("GET", "/openai/v1/fine_tuning/jobs/job/checkpoints"), "", &of_list, vec![]),
        (("POST", "/openai/v1/vector_stores/vs/search"), "{}", &of_list, vec![]),
    ] {
        let registry = Registry::default();
        let [plane, other] = [(); 2].map(|()| Plane::new(&registry, &json!({})));
        for (path, id) in [
            (RESPONSES, "own"),
            ("/openai/v1/conversations", "conv"),
            ("/openai/v1/fine_tuning/jobs", "job"),
            ("/openai/v1/vector_stores", "vs"),
        ] {
            plane.post(A, path, "{}", &json_answer(&json!({"id": id}).to_string()));
        }
        let sent = ("application/json", &[body.as_bytes()][..]);
        assert_eq!(plane.send(A, request, sent, &json_answer(answer)), Got::Answer(answer.clone()));
        for id in ["rs_1", "msg_1", "ws_1"] {
            let own = if kept.contains(&id) { "forward" } else { "object_not_found" };
            for plane in [&plane, &other] {
                assert_eq!(reason(plane, A, id), own, "{request:?} {body}: {id}");
                assert_eq!(reason(plane, B, id), "object_not_found", "{request:?} {body}: {id}");
            }
        }
    }
}

#[test]
fn a_text_in_the_place_of_items_is_the_callers_own() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for length in [1, 512, 513, 100_000] {
        for input in [json!("a".repeat(length)), json!([{"role": "user", "content": "a".repeat(length)}])] {
            let body = json!({"model": "m", "input": input}).to_string();
            assert_eq!(plane.post(A, RESPONSES, &body, &json_answer("{}")).reason(), "forward", "{length}");
        }
    }
}

#[test]
fn the_items_of_a_stream_go_in_few_claims() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    // More than go into one call.
    let ids: Vec<String> = (0..120).map(|number| format!("msg_{number}")).collect();
    let event = |event: Value| format!("data: {event}\n\n");
    let output: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
    let events: Vec<String> = [event(json!({"type": "response.created", "response": {"id": "resp_1"}}))]
        .into_iter()
        .chain(ids.iter().map(|id| event(json!({"type": "response.output_item.added", "item": {"id": id}}))))
        .chain([event(json!({"type": "response.completed", "response": {"id": "resp_1", "output": output}}))])
        .collect();
    for slices in [vec![events.concat()], events.clone()] {
        let stream = Answered(200, "text/event-stream", slices.iter().map(String::as_str).collect());
        let got = plane.post(A, RESPONSES, r#"{"stream":true}"#, &stream);
        assert_eq!(got, Got::Answer(events.concat()));
        assert!(registry.calls().len() <= 121);
        assert_eq!(registry.kinds().len(), 121);
    }
}

#[test]
fn the_items_of_a_realtime_session_are_gone_with_it_so_they_are_not_judged() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let message = |text: Value| wire::frame(0x81, text.to_string().as_bytes(), Some([1, 2, 3, 4]));
    let mut socket = plane.open(A, "/openai/v1/realtime?model=gpt-realtime");
    for text in [
        json!({"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "item_1"}]}}),
        json!({"type": "conversation.item.create", "previous_item_id": "item_1", "item": {"id": "item_2"}}),
        json!({"type": "response.cancel", "response_id": "resp_1"}),
    ] {
        assert_eq!(plane.say(&mut socket, &message(text.clone())), Ok(()), "{text}");
    }
    let mut socket = plane.open(A, RESPONSES);
    let text = json!({"type": "response.create", "model": "m", "input": [{"type": "item_reference", "id": "msg_1"}]});
    assert_eq!(
        plane.say(&mut socket, &message(text)),
        Err("object_not_found"),
        "those of a response are kept"
    );
}
