//! The OpenAI dialect: chat completions, responses, embeddings, models.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    answer::{Content, named_event, pieces},
    greeting::greeting,
    received::Received,
};

const CREATED: u64 = 1_767_225_600;

pub(super) fn answer(request: &Received) -> Option<Content> {
    let path = request.path();
    if path.ends_with("/chat/completions") {
        Some(if request.wants_stream() { chat_stream(request) } else { chat(request).into() })
    } else if path.ends_with("/responses") {
        Some(if request.wants_stream() { response_stream(request) } else { response(request).into() })
    } else if path.ends_with("/embeddings") {
        Some(embeddings(request).into())
    } else if path.ends_with("/models") {
        Some(json!({"object": "list", "data": [model_card("gpt-5"), model_card("gpt-5-mini")]}).into())
    } else {
        path.rsplit_once("/models/").map(|(_, id)| model_card(id).into())
    }
}

pub(super) fn error(message: &str) -> Value {
    json!({"error": {"message": message, "type": "stand_in_error", "param": null, "code": "stand_in"}})
}

fn model_card(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": CREATED, "owned_by": "stand-in"})
}

/// Returns the tool that the request forces. The answer calls it with the greeting as `text`.
fn forced_tool(request: &Received) -> Option<String> {
    request.json().pointer("/tool_choice/function/name").and_then(Value::as_str).map(str::to_owned)
}

fn arguments(request: &Received) -> String {
    json!({"text": greeting(request)}).to_string()
}

fn tool_call(name: &str, arguments: &str) -> Value {
    let function = json!({"name": name, "arguments": arguments});
    json!([{"index": 0, "id": "call_standin", "type": "function", "function": function}])
}

fn chat(request: &Received) -> Value {
    let mut message =
        json!({"role": "assistant", "content": greeting(request), "refusal": null, "annotations": []});
    if let Some(name) = forced_tool(request) {
        message["content"] = Value::Null;
        message["tool_calls"] = tool_call(&name, &arguments(request));
    }
    json!({
        "id": "chatcmpl-standin",
        "object": "chat.completion",
        "created": CREATED,
        "model": request.model(),
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": chat_usage(),
        "service_tier": "default",
        "system_fingerprint": null,
    })
}

fn chat_usage() -> Value {
    json!({"prompt_tokens": 8, "completion_tokens": 12, "total_tokens": 20})
}

fn chat_stream(request: &Received) -> Content {
    let model = request.model();
    let chunk = |choices: Value, usage: Value| {
        let data = json!({
            "id": "chatcmpl-standin",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": model,
            "service_tier": "default",
            "system_fingerprint": null,
            "choices": choices,
            "usage": usage,
        });
        format!("data: {data}\n\n")
    };
    let choice = |delta: Value, finish_reason: Value| {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]);
        chunk(choices, Value::Null)
    };
    let mut start = json!({"role": "assistant", "content": "", "refusal": null});
    let deltas: Vec<Value> = if let Some(name) = forced_tool(request) {
        start["tool_calls"] = tool_call(&name, "");
        let delta = |piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
        pieces(&arguments(request)).into_iter().map(delta).collect()
    } else {
        pieces(&greeting(request)).into_iter().map(|piece| json!({"content": piece})).collect()
    };
    let mut events = vec![choice(start, Value::Null)];
    events.extend(deltas.into_iter().map(|delta| choice(delta, Value::Null)));
    events.push(choice(json!({}), json!("stop")));
    if request.json().pointer("/stream_options/include_usage") == Some(&json!(true)) {
        events.push(chunk(json!([]), chat_usage()));
    }
    events.push("data: [DONE]\n\n".to_owned());
    Content::Events { events, first_text: 1 }
}

fn response(request: &Received) -> Value {
    response_object(request, "completed", &json!([output_message(&greeting(request), "completed")]))
}

fn response_object(request: &Received, status: &str, output: &Value) -> Value {
    let usage = json!({
        "input_tokens": 8,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 12,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 20,
    });
    json!({
        "id": "resp_standin",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": null,
        "max_output_tokens": null,
        "metadata": {},
        "model": request.model(),
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": true,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": if status == "completed" { usage } else { Value::Null },
        "user": null,
    })
}

fn output_message(text: &str, status: &str) -> Value {
    let content = if status == "completed" { json!([output_text(text)]) } else { json!([]) };
    json!({"type": "message", "id": "msg_standin", "status": status, "role": "assistant", "content": content})
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn response_stream(request: &Received) -> Content {
    let text = greeting(request);
    let started = response_object(request, "in_progress", &json!([]));
    let mut events = vec![
        json!({"type": "response.created", "response": started}),
        json!({"type": "response.in_progress", "response": started}),
        json!({"type": "response.output_item.added", "item": output_message("", "in_progress")}),
        json!({"type": "response.content_part.added", "part": output_text("")}),
    ];
    let deltas = pieces(&greeting(request)).into_iter();
    events.extend(
        deltas.map(|delta| json!({"type": "response.output_text.delta", "delta": delta, "logprobs": []})),
    );
    events.extend([
        json!({"type": "response.output_text.done", "text": text, "logprobs": []}),
        json!({"type": "response.content_part.done", "part": output_text(&text)}),
        json!({"type": "response.output_item.done", "item": output_message(&text, "completed")}),
        json!({"type": "response.completed", "response": response(request)}),
    ]);
    let events = events.into_iter().enumerate().map(|(number, event)| numbered(number, event)).collect();
    Content::Events { events, first_text: 4 }
}

/// Adds the members that every event has, and those of every event about an item.
fn numbered(number: usize, mut event: Value) -> String {
    event["sequence_number"] = json!(number);
    let of_item = event.get("response").is_none();
    if of_item {
        event["output_index"] = json!(0);
    }
    if of_item && event.get("item").is_none() {
        event["item_id"] = json!("msg_standin");
        event["content_index"] = json!(0);
    }
    named_event(&event)
}

/// Returns embeddings, in base64 or as numbers: the SDKs request base64 by default.
fn embeddings(request: &Received) -> Value {
    let vector = [0.5_f32, -0.25, 0.125];
    let embedding = if request.json().get("encoding_format") == Some(&json!("base64")) {
        json!(BASE64_STANDARD.encode(vector.map(f32::to_le_bytes).concat()))
    } else {
        json!(vector)
    };
    json!({
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": embedding}],
        "model": request.model(),
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    })
}
