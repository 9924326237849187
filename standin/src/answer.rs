//! An answer of the stand-in: JSON, the events of a stream, or a conversation.

use hyper::HeaderMap;
use serde_json::Value;

use super::conversation::Conversation;

/// An answer of the stand-in.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Content {
    Json(Value),
    /// The events of a stream, each with its final empty line.
    Events {
        events: Vec<String>,
        /// The index of the first event with text. Libraries do not return earlier ones to their users.
        first_text: usize,
    },
    /// A conversation over a WebSocket.
    WebSocket(Conversation),
}

impl From<Value> for Content {
    fn from(json: Value) -> Self {
        Self::Json(json)
    }
}

/// Splits a text into the pieces of a stream.
pub(super) fn pieces(text: &str) -> Vec<String> {
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// Returns an event whose name is the `type` of its data.
pub(super) fn named_event(data: &Value) -> String {
    let name = data.get("type").and_then(Value::as_str).unwrap_or("message");
    format!("event: {name}\ndata: {data}\n\n")
}
