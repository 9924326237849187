//! The Gemini dialect: generate content, count tokens, embed, models.

use serde_json::{Value, json};

use super::{
    answer::{Content, pieces},
    greeting::greeting,
    received::Received,
};

pub(super) fn answer(request: &Received) -> Option<Content> {
    let path = request.path();
    match path.rsplit_once(':').map(|(_, verb)| verb) {
        Some("generateContent") => Some(chunk(request, &greeting(request), true).into()),
        Some("streamGenerateContent") => Some(stream(request)),
        Some("countTokens") => Some(json!({"totalTokens": 8}).into()),
        Some("embedContent") => Some(json!({"embedding": embedding()}).into()),
        Some("batchEmbedContents") => Some(json!({"embeddings": [embedding()]}).into()),
        Some(_) => None,
        None if path.ends_with("/models") => Some(json!({"models": [model_card("gemini-2.5-flash")]}).into()),
        None => path.rsplit_once("/models/").map(|(_, id)| model_card(id).into()),
    }
}

pub(super) fn error(status: u16, message: &str) -> Value {
    let name = match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status, "message": message, "status": name}})
}

fn embedding() -> Value {
    json!({"values": [0.5, -0.25, 0.125]})
}

fn model_card(id: &str) -> Value {
    json!({
        "name": format!("models/{id}"),
        "version": "stand-in",
        "displayName": id,
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    })
}

fn chunk(request: &Received, text: &str, last: bool) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}, "index": 0});
    if last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 12, "totalTokenCount": 20},
        "modelVersion": model(request),
        "responseId": "standin",
    })
}

/// Returns the model in the path `…/models/{model}:{verb}`.
fn model(request: &Received) -> &str {
    let name = request.path().rsplit_once('/').map_or("", |(_, name)| name);
    name.split_once(':').map_or(name, |(model, _)| model)
}

/// Returns a stream: events with `alt=sse`, else one JSON array.
fn stream(request: &Received) -> Content {
    let pieces = pieces(&greeting(request));
    let last = pieces.len().saturating_sub(1);
    let chunks: Vec<Value> =
        pieces.iter().enumerate().map(|(number, piece)| chunk(request, piece, number == last)).collect();
    if !request.target.contains("alt=sse") {
        return json!(chunks).into();
    }
    let events = chunks.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    Content::Events { events, first_text: 0 }
}
