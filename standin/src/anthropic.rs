//! The Anthropic dialect: messages, token counts, models.

use serde_json::{Value, json};

use super::{
    answer::{Content, named_event, pieces},
    greeting::greeting,
    received::Received,
};

pub(super) fn answer(request: &Received) -> Option<Content> {
    let path = request.path();
    if path.ends_with("/messages") {
        Some(if request.wants_stream() { stream(request) } else { message(request).into() })
    } else if path.ends_with("/count_tokens") {
        Some(json!({"input_tokens": 8}).into())
    } else if path.ends_with("/models") {
        Some(models().into())
    } else {
        path.rsplit_once("/models/").map(|(_, id)| model_card(id).into())
    }
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_standin"})
}

fn models() -> Value {
    let id = "claude-sonnet-4-5";
    json!({"data": [model_card(id)], "has_more": false, "first_id": id, "last_id": id})
}

fn model_card(id: &str) -> Value {
    json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"})
}

fn message(request: &Received) -> Value {
    message_object(request, &json!([{"type": "text", "text": greeting(request)}]), &json!("end_turn"))
}

fn message_object(request: &Received, content: &Value, stop_reason: &Value) -> Value {
    json!({
        "id": "msg_standin",
        "type": "message",
        "role": "assistant",
        "model": request.model(),
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {
            "input_tokens": 8,
            "output_tokens": 12,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "service_tier": "standard",
        },
    })
}

fn stream(request: &Received) -> Content {
    let mut events = vec![
        json!({"type": "message_start", "message": message_object(request, &json!([]), &Value::Null)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
    ];
    events.extend(pieces(&greeting(request)).into_iter().map(|piece| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    }));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"output_tokens": 12},
        }),
        json!({"type": "message_stop"}),
    ]);
    Content::Events { events: events.iter().map(named_event).collect(), first_text: 3 }
}
