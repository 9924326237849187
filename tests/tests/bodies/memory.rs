//! The memory of Envoy under many large uploads at once.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use keyswap_tests::{Envoy, Setup, until_within};
use serde_json::json;

use super::{KEY, TOKEN, policy};

const UPLOADS: usize = 100;
const UPLOAD_BYTES: usize = 20_000_000;
/// The most that memory may grow: a thirtieth of the uploads.
const ALLOWED_BYTES: u64 = 60_000_000;
const SLICE_BYTES: usize = 64 * 1024;

/// An upstream that keeps nothing of its requests but the number of their bytes.
struct Sink {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Sink {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, bytes) = (listener.local_addr()?, Arc::<AtomicU64>::default());
        let shared = Arc::clone(&bytes);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let bytes = Arc::clone(&shared);
                thread::spawn(move || swallow(stream, &bytes));
            }
        });
        Ok(Self { address, bytes })
    }
}

/// Answers the chunked requests of a connection.
fn swallow(mut stream: TcpStream, bytes: &AtomicU64) -> std::io::Result<()> {
    const ANSWER: &str = r#"{"usage":{"prompt_tokens":8,"completion_tokens":12}}"#;
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let (mut buffer, mut last) = (vec![0; SLICE_BYTES], Vec::new());
    loop {
        let size = stream.read(&mut buffer)?;
        let Some(read) = buffer.get(..size).filter(|read| !read.is_empty()) else { return Ok(()) };
        bytes.fetch_add(read.len() as u64, Ordering::Relaxed);
        last.extend_from_slice(read.get(read.len().saturating_sub(END.len())..).unwrap_or_default());
        last.drain(..last.len().saturating_sub(END.len()));
        if last == END {
            let length = ANSWER.len();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}");
            stream.write_all(format!("{head}\r\n\r\n{ANSWER}").as_bytes())?;
        }
    }
}

/// A chat on its way, in chunks.
struct Chat(TcpStream);

impl Chat {
    fn begin(envoy: &Envoy) -> Result<Self> {
        let mut stream = TcpStream::connect(envoy.address())?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: api.openai.com\r\nconnection: close\r\ntransfer-encoding: chunked\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut chat = Self(stream);
        chat.send(br#"{"messages":[{"role":"user","content":""#)?;
        Ok(chat)
    }

    fn send(&mut self, part: &[u8]) -> Result<()> {
        let chunk = [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
        Ok(self.0.write_all(&chunk)?)
    }

    fn finish(mut self) -> Result<()> {
        self.send(br#""}],"model":"gpt-5-mini"}"#)?;
        self.0.write_all(b"0\r\n\r\n")?;
        let mut answer = String::new();
        self.0.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 200") && answer.contains("prompt_tokens"), "{answer:.300}");
        Ok(())
    }
}

/// Begins as many chats at once, each with a text of this length. Returns Envoy's memory while all but their ends has
/// passed.
fn memory_during(envoy: &Envoy, sink: &Sink, length: usize) -> Result<u64> {
    let (text, before) = (vec![b'a'; SLICE_BYTES], sink.bytes.load(Ordering::Relaxed));
    let chats = thread::scope(|scope| {
        let send = || {
            let mut chat = Chat::begin(envoy)?;
            let mut left = length;
            while left > 0 {
                let part = text.get(..left).unwrap_or(&text);
                chat.send(part)?;
                left -= part.len();
            }
            anyhow::Ok(chat)
        };
        let senders: Vec<_> = (0..UPLOADS).map(|_| scope.spawn(send)).collect();
        let chats = senders.into_iter().map(|it| it.join().unwrap_or_else(|_| anyhow::bail!("a panic")));
        chats.collect::<Result<Vec<_>>>()
    })?;
    let all = (UPLOADS * length) as u64;
    until_within(Duration::from_mins(1), "the texts have passed", || {
        Ok(sink.bytes.load(Ordering::Relaxed) - before >= all)
    })?;
    let memory = envoy.memory()?;
    chats.into_iter().try_for_each(Chat::finish)?;
    Ok(memory)
}

/// Returns the growth of memory from small bodies to large ones.
fn growth(setup: Setup, sink: &Sink) -> Result<u64> {
    let envoy = setup.plain_upstream(sink.address).start()?;
    let small = memory_during(&envoy, sink, 1000)?;
    let large = memory_during(&envoy, sink, UPLOAD_BYTES)?;
    println!("{} MB with small bodies, {} MB with large ones", small >> 20, large >> 20);
    Ok(large.saturating_sub(small))
}

#[test]
fn a_hundred_uploads_of_20_mb_that_are_judged_and_metered_take_less_than_60_mb() -> Result<()> {
    let sink = Sink::start()?;
    let mut policy = policy();
    policy["metering"] = json!({});
    let growth = growth(Envoy::with(&policy).env("OPENAI_API_KEY", KEY), &sink)?;
    ensure!(growth < ALLOWED_BYTES, "{growth} bytes");
    Ok(())
}
