//! Conversations that Anthropic keeps under the id of an answer.

use serde_json::json;

use crate::plane::{A, Answered, B, Plane, json_answer};
use crate::registry::Registry;

const MESSAGES: &str = "/anthropic/v1/messages";

#[test]
fn a_conversation_that_is_kept_goes_on_for_its_caller_only() {
    let stream = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"role\":\"assistant\"}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    for answer in
        [json_answer(r#"{"id":"msg_1","content":[]}"#), Answered(200, "text/event-stream", stream.to_vec())]
    {
        for (thread, is_kept) in [
            (json!({"type": "create"}), true),
            (json!({"type": "continue", "previous_message_id": "msg_0"}), true),
            (json!(null), false),
        ] {
            let registry = Registry::default();
            let [plane, other] = [(); 2].map(|()| Plane::new(&registry, &json!({})));
            plane.post(A, MESSAGES, r#"{"thread":{"type":"create"}}"#, &json_answer(r#"{"id":"msg_0"}"#));
            let body = json!({"model": "m", "thread": thread, "messages": []}).to_string();
            assert_eq!(plane.post(A, MESSAGES, &body, &answer).reason(), "forward", "{body}");
            let more = json!({"thread": {"type": "continue", "previous_message_id": "msg_1"}}).to_string();
            let own = if is_kept { "forward" } else { "object_not_found" };
            for plane in [&other, &plane] {
                for path in [MESSAGES, "/anthropic/v1/messages/count_tokens"] {
                    assert_eq!(
                        plane.post(B, path, &more, &json_answer("{}")).reason(),
                        "object_not_found",
                        "{body}"
                    );
                    assert_eq!(plane.post(A, path, &more, &json_answer("{}")).reason(), own, "{body}");
                }
            }
        }
    }
}

#[test]
fn a_message_is_named_where_it_is_continued_and_nowhere_else() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (path, body, reason) in [
        (MESSAGES, r#"{"thread":{"previous_message_id":"msg_1","type":"continue"}}"#, "object_not_found"),
        (MESSAGES, r#"{"thread":{"previousMessageId":"msg_1"}}"#, "object_not_found"),
        (MESSAGES, r#"{"thread":[{"previous_message_id":"msg_1"}]}"#, "object_not_found"),
        (MESSAGES, r#"{"THREAD":{"previous_message_id":"msg_1"}}"#, "object_not_found"),
        (MESSAGES, r#"{"thread":null,"thread":{"previous_message_id":"msg_1"}}"#, "object_not_found"),
        (
            "/anthropic/v1/messages/batches",
            r#"{"requests":[{"params":{"thread":{"previous_message_id":"msg_1"}}}]}"#,
            "object_not_found",
        ),
        // It tells where two prompts part, and reads nothing of the other.
        (MESSAGES, r#"{"diagnostics":{"previous_message_id":"msg_1"}}"#, "forward"),
        (
            MESSAGES,
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"thread":{"previous_message_id":"m"}}}]}]}"#,
            "forward",
        ),
        (MESSAGES, r#"{"thread":{"type":"create"}}"#, "forward"),
    ] {
        assert_eq!(plane.post(A, path, body, &json_answer("{}")).reason(), reason, "{body}");
    }
    assert!(registry.kinds().is_empty(), "an answer without an id is nothing's");
}
