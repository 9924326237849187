//! The upstream of all measured proxies: an immediate, constant answer in plain HTTP.
//!
//! A request can ask for another answer. `x-bench-answer` is the length of the answer's body. `x-bench-events` asks for
//! an event stream, with this number of milliseconds between two events. Requests are recorded only during
//! [`Upstream::watch`].

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time};

use super::{
    load::Loader,
    wire::{Connection, Head, PADDING, malformed},
};

/// An answer close to that of OpenAI.
const ANSWER: &str = r#"{"id":"chatcmpl-0123456789abcdefghijklmnopqrs","object":"chat.completion","created":1700000000,"model":"gpt-5-mini-2026-01-01","choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I help you today?","refusal":null,"annotations":[]},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":10,"total_tokens":18},"service_tier":"default","system_fingerprint":null}"#;
/// One event of a stream.
pub(super) const EVENT: &str = "data: {\"id\":\"chatcmpl-0123456789abcdefghijklmnopqrs\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" hello\"}}]}\n\n";

/// The running upstream.
pub struct Upstream {
    address: SocketAddr,
    watched: Arc<Watched>,
}

/// The recorded heads of requests.
#[derive(Default)]
struct Watched {
    is_on: AtomicBool,
    heads: Mutex<Vec<Vec<u8>>>,
}

impl Upstream {
    /// Starts the upstream on a free port, on the load's thread.
    pub(super) fn start(loader: &Loader) -> Result<Self> {
        let watched = Arc::<Watched>::default();
        let shared = Arc::clone(&watched);
        let address = loader.serve(move |stream| answer_all(stream, Arc::clone(&shared)))?;
        Ok(Self { address, watched })
    }

    /// Returns the address that the upstream listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs `work`. Returns its result and the heads of the requests that arrive meanwhile.
    pub fn watch<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<String>)> {
        self.watched.is_on.store(true, Ordering::SeqCst);
        let done = work();
        self.watched.is_on.store(false, Ordering::SeqCst);
        let heads = std::mem::take(&mut *self.watched.heads.lock().unwrap_or_else(PoisonError::into_inner));
        let text = |head: &Vec<u8>| String::from_utf8_lossy(head).into_owned();
        Ok((done?, heads.iter().map(text).collect()))
    }
}

impl Watched {
    fn note(&self, head: &Head) {
        if self.is_on.load(Ordering::SeqCst) {
            self.heads.lock().unwrap_or_else(PoisonError::into_inner).push(head.bytes().to_vec());
        }
    }
}

async fn answer_all(stream: TcpStream, watched: Arc<Watched>) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let usual = format!("{}{ANSWER}", json_head(ANSWER.len()));
    while let Some(head) = connection.head().await? {
        watched.note(&head);
        connection.skip_body(&head).await?;
        if let Some(pause) = number(&head, "x-bench-events")? {
            return stream_events(&mut connection.stream, Duration::from_millis(pause)).await;
        }
        match number(&head, "x-bench-answer")? {
            None => connection.stream.write_all(usual.as_bytes()).await?,
            Some(length) => write_body(&mut connection.stream, usize::try_from(length).unwrap_or(0)).await?,
        }
    }
    Ok(())
}

fn json_head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
}

fn number(head: &Head, name: &str) -> io::Result<Option<u64>> {
    let Some(value) = head.value(name) else { return Ok(None) };
    let value = str::from_utf8(value).ok().and_then(|value| value.parse().ok());
    value.map(Some).ok_or_else(|| malformed("a wish of the bench is no number"))
}

/// Sends the usual answer with a longer text, so that its body has this length.
async fn write_body(stream: &mut TcpStream, length: usize) -> io::Result<()> {
    let (front, tail) = ANSWER.split_once("Hello!").unwrap_or_default();
    let mut length = length.saturating_sub(front.len() + tail.len());
    stream.write_all(json_head(front.len() + length + tail.len()).as_bytes()).await?;
    stream.write_all(front.as_bytes()).await?;
    while length > 0 {
        let part = PADDING.get(..length).unwrap_or(PADDING.as_slice());
        stream.write_all(part).await?;
        length -= part.len();
    }
    stream.write_all(tail.as_bytes()).await
}

/// Sends events until the client disconnects.
async fn stream_events(stream: &mut TcpStream, pause: Duration) -> io::Result<()> {
    stream
        .write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await?;
    let chunk = format!("{:x}\r\n{EVENT}\r\n", EVENT.len());
    let mut ticks = time::interval(pause);
    loop {
        ticks.tick().await;
        stream.write_all(chunk.as_bytes()).await?;
    }
}
