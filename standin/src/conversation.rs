//! A conversation over a WebSocket (RFC 6455): the first message of a realtime API, then an echo.
//!
//! Every message is sent back unchanged, text as text and binary as binary, until the client closes.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message, protocol::Role},
};

/// A conversation over a WebSocket.
#[derive(Debug)]
pub(super) struct Conversation {
    /// The message that the server sends first.
    pub(super) greeting: Option<String>,
}

impl Conversation {
    /// Runs the conversation until the client ends. Errors of the connection are ignored: the client sees them.
    pub(super) async fn hold(self, upgrade: OnUpgrade) {
        let Ok(connection) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, None).await;
        let _ = self.talk(socket).await;
    }

    async fn talk(self, mut socket: WebSocketStream<TokioIo<Upgraded>>) -> Result<(), Error> {
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
