//! A WebSocket (RFC 6455) at the stand-in: the upgrade, the first words of a realtime API, and an echo.
//!
//! Every message comes back as it arrived, text as text and binary as binary, until the client closes.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::{
    HeaderMap,
    header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE},
    upgrade::OnUpgrade,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, handshake::derive_accept_key, protocol::Role},
};

use super::{
    Received,
    answer::{Answer, Content, greeting},
};

/// What is said over a WebSocket.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Said before the client says anything.
    greeting: Option<String>,
}

pub(super) fn is_asked_for(request: &Received) -> bool {
    request.header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// The 101, with the first of the subprotocols that the client offers.
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

/// OpenAI's realtime API speaks first, at its own path and at the gateway's.
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

impl Conversation {
    /// Ends when the client does; a connection that fails has told it.
    pub(super) async fn hold(self, upgrade: OnUpgrade) {
        let Ok(connection) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
        let _ = self.talk(socket).await;
    }

    async fn talk(self, mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) -> Result<(), Error> {
        if let Some(greeting) = self.greeting {
            socket.send(Message::from(greeting)).await?;
        }
        while let Some(message) = socket.next().await.transpose()? {
            if message.is_text() || message.is_binary() {
                socket.send(message).await?;
            }
        }
        Ok(())
    }
}
