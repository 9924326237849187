//! Claims: what an answer tells is the caller's, and the registry knows before the answer ends.

use serde_json::{Value, json};

use crate::plane::{A, Answered, B, Got, Plane, json_answer};
use crate::registry::Registry;
use crate::support::worker::at;
use crate::wire;

/// The stream of a response, in two parts.
const STREAM: [&str; 2] = [
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_s\"}}\n\n",
    "data: {\"type\":\"response.output_item.done\",\"item\":{\"container_id\":\"cntr_s\"}}\n\n\
     data: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_s\"}}\n\n",
];

#[test]
fn a_stream_is_claimed_by_its_first_event_and_ends_when_the_registry_knows() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let stream = Answered(200, "text/event-stream; charset=utf-8", STREAM.to_vec());
    let got = plane.post(A, "/openai/v1/responses", r#"{"model":"m","stream":true}"#, &stream);
    assert_eq!(got, Got::Answer(STREAM.concat()));
    assert_eq!(registry.calls(), ["claim", "claim"]);
    assert_eq!(registry.kinds(), ["container cntr_s", "response resp_s"]);
    // Another answer that tells of the same objects needs no call.
    plane.post(A, "/openai/v1/responses", r#"{"model":"m","stream":true}"#, &stream);
    assert!(registry.calls().is_empty());
}

#[test]
fn an_answer_is_claimed_as_its_body_asks_to_keep_it() {
    for (path, body, kept) in [
        ("/openai/v1/responses", r#"{"input":"x"}"#, true),
        ("/openai/v1/responses", r#"{"input":"x","store":true}"#, true),
        ("/openai/v1/responses", r#"{"input":"x","store":null}"#, true),
        ("/openai/v1/responses", r#"{"input":"x","store":false}"#, false),
        ("/openai/v1/chat/completions", r#"{"messages":[]}"#, false),
        ("/openai/v1/chat/completions", r#"{"messages":[],"store":false}"#, false),
        ("/openai/v1/chat/completions", r#"{"messages":[],"store":true}"#, true),
        ("/openai/v1/embeddings", r#"{"input":"x"}"#, false),
        ("/anthropic/v1/messages", r#"{"messages":[]}"#, false),
        ("/openai/v1/responses/compact", r#"{"input":"x"}"#, false),
    ] {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &json!({}));
        let got = plane.post(A, path, body, &json_answer(r#"{"id":"made"}"#));
        assert_eq!(got.reason(), "forward", "{path} {body}");
        assert_eq!(registry.calls().len(), usize::from(kept), "{path} {body}");
        let refused = Answered(400, "application/json", vec![r#"{"id":"made"}"#]);
        plane.post(A, path, &body.replace('x', "y"), &refused);
        assert_eq!(registry.kinds().len(), usize::from(kept), "{path} {body}");
    }
}

#[test]
fn what_a_caller_downloads_claims_nothing() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    plane.post(A, "/openai/v1/files", "{}", &json_answer(r#"{"id":"made"}"#));
    plane.post(A, "/openai/v1/containers", "{}", &json_answer(r#"{"id":"c"}"#));
    plane.post(A, "/google-ai-studio/v1beta/cachedContents", "{}", &json_answer(r#"{"name":"files/g"}"#));
    let before = registry.kinds();
    let file = json_answer(r#"{"id":"x","name":"files/x","output_file_id":"x","response":{"id":"x"}}"#);
    for path in [
        "/openai/v1/files/made/content",
        "/openai/v1/containers/c/files/f/content",
        "/google-ai-studio/v1beta/files/g:download",
        "/google-ai-studio/v1beta/files/g?alt=media",
        "/google-ai-studio/v1beta/files/g?%61lt=MEDIA",
    ] {
        assert_eq!(plane.ask(A, ("GET", path), &Value::Null, &file).reason(), "forward", "{path}");
        assert_eq!(registry.kinds(), before, "{path}");
    }
}

#[test]
fn objects_that_are_made_on_the_way_are_the_callers() {
    for (request, answer, kinds) in [
        (
            ("GET", "/openai/v1/batches/made"),
            r#"{"id":"made","input_file_id":"not-this","output_file_id":"out","error_file_id":null}"#,
            vec!["batch made", "file out"],
        ),
        (
            ("GET", "/openai/v1/fine_tuning/jobs/made"),
            r#"{"fine_tuned_model":"ft:m:o::1","result_files":["r1","r2"]}"#,
            vec!["file r1", "file r2", "job made", "model ft:m:o::1"],
        ),
        (
            ("POST", "/openai/v1/uploads/made/complete"),
            r#"{"id":"made","file":{"id":"file-up"}}"#,
            vec!["file file-up", "upload made"],
        ),
        (
            ("POST", "/openai/v1/videos/made/remix"),
            r#"{"id":"remixed"}"#,
            vec!["video made", "video remixed"],
        ),
        (
            ("POST", "/openai/v1/threads/runs"),
            r#"{"id":"run","thread_id":"t"}"#,
            vec!["thread made", "thread t"],
        ),
        (("POST", "/openai/v1/threads/made/runs"), r#"{"id":"run"}"#, vec!["thread made"]),
        (
            ("POST", "/anthropic/v1/messages"),
            r#"{"id":"msg","container":{"id":"c"},"content":[{"content":{"content":[{"file_id":"f"}]}}]}"#,
            vec!["container c", "file f", "file made"],
        ),
        (
            ("POST", "/google-ai-studio/v1beta/models/m:batchGenerateContent"),
            r#"{"name":"batches/b1"}"#,
            vec!["batch b1", "batch made"],
        ),
    ] {
        let registry = Registry::default();
        let plane = Plane::new(&registry, &json!({}));
        let base = match request.1.split("/made").next().unwrap() {
            "/openai/v1/threads/runs" => "/openai/v1/threads",
            "/anthropic/v1/messages" => "/anthropic/v1/files",
            "/google-ai-studio/v1beta/models/m:batchGenerateContent" => "/google-ai-studio/v1beta/batches",
            base => base,
        };
        plane.post(A, base, "{}", &json_answer(r#"{"id":"made"}"#));
        let got = plane.ask(A, request, &json!({}), &json_answer(answer));
        assert_eq!(got.reason(), "forward", "{request:?}");
        assert_eq!(registry.kinds(), kinds, "{request:?}");
        registry.calls();
        plane.ask(A, request, &json!({}), &json_answer(answer));
        assert!(registry.calls().is_empty(), "{request:?}: all is known");
    }
}

#[test]
fn an_object_that_the_registry_cannot_be_told_of_is_withheld_and_told_later() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    registry.is_down.set(true);
    let stream = Answered(200, "text/event-stream", STREAM.to_vec());
    for answer in [json_answer(r#"{"id":"resp_1"}"#), stream] {
        assert_eq!(plane.post(A, "/openai/v1/responses", "{}", &answer), Got::CutOff);
    }
    assert_eq!(plane.get(A, "/openai/v1/responses/resp_1").reason(), "forward", "the worker knows");
    assert_eq!(plane.get(B, "/openai/v1/responses/resp_1").reason(), "registry_unavailable");
    assert_eq!(plane.get(B, "/openai/v1/responses/never-was").reason(), "registry_unavailable");
    let named = r#"{"previous_response_id":"resp_1"}"#;
    let got = plane.post(B, "/openai/v1/responses", named, &json_answer("{}"));
    assert_eq!(got.reason(), "registry_unavailable");
    registry.is_down.set(false);
    plane.now.set(at(8));
    plane.tick("/v1/objects/");
    assert_eq!(registry.kinds(), ["container cntr_s", "response resp_1", "response resp_s"]);
    registry.calls();
    plane.now.set(at(30));
    plane.tick("/v1/objects/");
    assert!(registry.calls().is_empty(), "all is told");
}

#[test]
fn the_messages_of_a_websocket_name_objects_and_make_them() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    let mask = Some([1, 2, 3, 4]);
    let message = |text: &str, mask| wire::frame(0x81, text.as_bytes(), mask);
    let create = |previous: &str| {
        let text =
            json!({"type": "response.create", "model": "m", "previous_response_id": previous}).to_string();
        message(&text.replace("\"\"", "null"), mask)
    };
    let made =
        |id: &str| message(&json!({"type": "response.created", "response": {"id": id}}).to_string(), None);
    let mut socket = plane.open(A, "/openai/v1/responses");
    assert_eq!(plane.say(&mut socket, &create("")), Ok(()));
    assert!(plane.hear(&mut socket, &made("resp_1")));
    assert!(plane.hear(&mut socket, &made("resp_2")));
    assert_eq!(registry.kinds(), ["response resp_1", "response resp_2"]);
    for id in ["resp_1", "resp_2", "resp_1"] {
        assert_eq!(plane.say(&mut socket, &create(id)), Ok(()), "{id}");
    }
    assert_eq!(plane.say(&mut socket, &create("resp_3")), Err("object_not_found"));
    let mut other = plane.open(B, "/openai/v1/responses");
    assert_eq!(plane.say(&mut other, &create("resp_1")), Err("object_not_found"));
    // However many objects a long conversation names, each message is judged by its own.
    let mut long = plane.open(A, "/openai/v1/responses");
    for number in 0..200 {
        let id = format!("resp_{number}");
        assert!(plane.hear(&mut long, &made(&id)));
        assert_eq!(plane.say(&mut long, &create(&id)), Ok(()), "{id}");
    }
}
