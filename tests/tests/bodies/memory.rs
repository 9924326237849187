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
use keyswap_tests::{Envoy, until_within};
use serde_json::json;

use super::{KEY, TOKEN, policy};

const UPLOADS: usize = 100;
const UPLOAD_BYTES: usize = 20_000_000;
/// The most that memory may grow: a hundredth of what the uploads have, and far more than a state for each of them.
const ALLOWED_BYTES: u64 = 64 << 20;
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

/// Sends a chat up to the text of its message, with the length of the whole.
fn begin(envoy: &Envoy, length: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(envoy.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = BEGIN.len() + length + END.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: keyswap.test\r\nconnection: close\r\ncontent-length: {length}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    );
    stream.write_all([head.as_bytes(), BEGIN].concat().as_slice())?;
    Ok(stream)
}

const BEGIN: &[u8] = br#"{"messages":[{"role":"user","content":""#;
const END: &[u8] = br#""}],"model":"gpt-5-mini"}"#;

fn finish(mut stream: TcpStream) -> Result<()> {
    stream.write_all(END)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200") && answer.contains("prompt_tokens"), "{answer:.300}");
    Ok(())
}

/// Begins as many chats at once, each with a text of this length. Returns Envoy's memory while all but their ends has
/// passed.
fn memory_during(envoy: &Envoy, sink: &Sink, length: usize) -> Result<u64> {
    let (text, before) = (vec![b'a'; SLICE_BYTES], sink.bytes.load(Ordering::Relaxed));
    let streams = thread::scope(|scope| {
        let send = || {
            let mut stream = begin(envoy, length)?;
            let mut left = length;
            while left > 0 {
                let part = text.get(..left).unwrap_or(&text);
                stream.write_all(part)?;
                left -= part.len();
            }
            anyhow::Ok(stream)
        };
        let senders: Vec<_> = (0..UPLOADS).map(|_| scope.spawn(send)).collect();
        let streams = senders.into_iter().map(|it| it.join().unwrap_or_else(|_| anyhow::bail!("a panic")));
        streams.collect::<Result<Vec<_>>>()
    })?;
    let all = (UPLOADS * length) as u64;
    until_within(Duration::from_secs(60), "the texts have passed", || {
        Ok(sink.bytes.load(Ordering::Relaxed) - before >= all)
    })?;
    let memory = envoy.memory()?;
    streams.into_iter().try_for_each(finish)?;
    Ok(memory)
}

#[test]
fn a_hundred_uploads_of_20_mb_that_are_judged_and_metered_take_no_memory() -> Result<()> {
    let sink = Sink::start()?;
    let mut policy = policy();
    policy["metering"] = json!({});
    let envoy = Envoy::with(&policy).env("OPENAI_API_KEY", KEY).plain_upstream(sink.address).start()?;
    let small = memory_during(&envoy, &sink, 1000)?;
    let large = memory_during(&envoy, &sink, UPLOAD_BYTES)?;
    ensure!(large <= small + ALLOWED_BYTES, "{large} bytes, and {small} with small bodies");
    println!("{} MB with small bodies, {} MB with large ones", small >> 20, large >> 20);
    Ok(())
}
