//! The members of OpenAI's requests that end in an id: each is judged, or left out for a reason.

use serde_json::{Value, json};

use crate::plane::{A, Plane, json_answer};
use crate::registry::Registry;

/// The members of the requests of OpenAI's published API whose names end in `_id` or `_ids`, and those in which ids stand under
/// other names. In front of a name stands the member whose object has it. The second part is the reason to leave it out;
/// empty: it is judged.
const MEMBERS: [(&str, &str); 64] = [
    ("previous_response_id", ""),
    ("conversation", ""),
    ("conversation.id", ""),
    ("file_id", ""),
    ("file_ids", ""),
    ("input_file_id", ""),
    ("input_files", ""),
    ("training_file", ""),
    ("validation_file", ""),
    ("assistant_id", ""),
    ("annotations.container_id", ""),
    ("annotations.file_id", ""),
    ("attachments.file_id", ""),
    ("audio.id", ""),
    ("code_interpreter.file_ids", ""),
    ("container", ""),
    ("container.file_ids", ""),
    ("content.file_id", ""),
    ("environment.container_id", ""),
    ("environment.file_ids", ""),
    ("file.file_id", ""),
    ("file_search.vector_store_ids", ""),
    ("files.file_id", ""),
    ("image_file.file_id", ""),
    ("images.file_id", ""),
    ("input.container_id", ""),
    ("input.id", ""),
    ("input_image_mask.file_id", ""),
    ("input_reference.file_id", ""),
    ("items.container_id", ""),
    ("items.id", ""),
    ("mask.file_id", ""),
    ("output.file_id", ""),
    ("results.file_id", ""),
    ("skills.skill_id", ""),
    ("source.id", ""),
    ("tools.vector_store_ids", ""),
    ("variables.file_id", ""),
    ("vector_stores.file_ids", ""),
    ("video.id", ""),
    ("voice.id", ""),
    ("characters.id", ""),
    ("acknowledged_safety_checks.id", "a part of the item that is in the request"),
    ("pending_safety_checks.id", "a part of the item that is in the request"),
    ("input.approval_request_id", "an item of the same input, or of the response that is named"),
    ("input.call_id", "an item of the same input, or of the response that is named"),
    ("items.call_id", "an item of the same input, or of the conversation in the path"),
    ("caller.caller_id", "an item of the same input"),
    ("messages.tool_call_id", "a call of the same messages"),
    ("tool_calls.id", "a call of the same messages"),
    ("tool_outputs.tool_call_id", "a call of the run in the path"),
    ("part_ids", "parts of the upload in the path"),
    ("prompt.id", "a prompt of the account, which people write in the provider's console"),
    ("workflow.id", "a workflow of the account; its endpoint is refused"),
    ("tools.connector_id", "a word for a service"),
    ("tools.tunnel_id", "a tunnel of the account, which administrators make"),
    ("tracing.group_id", "the caller's own text"),
    ("client_metadata.thread_id", "the caller's own text, as of Codex"),
    ("event_id", "the caller's own text, in a session"),
    ("item_id", "an item of the session"),
    ("previous_item_id", "an item of the session"),
    ("response_id", "a response of the session"),
    ("user_id", "of the administration, whose endpoints are refused"),
    ("project_ids", "of the administration, whose endpoints are refused"),
];

#[test]
fn every_member_of_openais_api_that_has_an_id_is_judged_or_left_out_for_a_reason() {
    let registry = Registry::default();
    let plane = Plane::new(&registry, &json!({}));
    for (member, reason) in MEMBERS {
        let (parent, name) = member.rsplit_once('.').unwrap_or(("", member));
        let id = if name == "skill_id" { "skill_1" } else { "foreign" };
        let value = if name.ends_with('s') { json!([id]) } else { json!(id) };
        let object = json!({"type": "x", name: value});
        let bodies: Vec<Value> = match parent {
            "" => vec![object],
            _ => vec![json!({parent: object}), json!({"x": [{parent: [{"x": 1}, object]}]})],
        };
        for body in bodies {
            let got = plane.post(A, "/openai/v1/responses", &body.to_string(), &json_answer("{}"));
            let expect = if reason.is_empty() { "object_not_found" } else { "forward" };
            assert_eq!(got.reason(), expect, "{body} {reason}");
        }
    }
}
