//! The upgrade of a connection to a WebSocket (RFC 6455).

use hyper::{
    HeaderMap,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
};
use serde_json::json;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    answer::{Answer, Content},
    conversation::Conversation,
    greeting::greeting,
    received::Received,
};

/// Returns true if the request asks for a WebSocket.
pub(super) fn is_asked_for(request: &Received) -> bool {
    request.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Returns the answer 101, with the first of the client's subprotocols.
pub(super) fn accept(request: &Received, mut headers: HeaderMap) -> Answer {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    let offered = request.header("sec-websocket-protocol").and_then(|list| list.split(',').next());
    if let Some(Ok(chosen)) = offered.map(|protocol| protocol.trim().parse()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    let conversation = Conversation { greeting: session_created(request) };
    Answer { status: 101, headers, content: Content::WebSocket(conversation) }
}

/// Returns the first message of OpenAI's realtime API, at its own path and at the gateway's. `None` for other paths.
fn session_created(request: &Received) -> Option<String> {
    let is_realtime = ["/realtime", "/openai"].iter().any(|end| request.path().ends_with(end));
    let session = json!({
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_standin",
        "instructions": greeting(request),
    });
    let event = json!({"type": "session.created", "event_id": "event_standin", "session": session});
    is_realtime.then(|| event.to_string())
}
