//! A plain HTTP server with scripted answers, which counts its requests. It replaces a registry or another service that
//! the filter calls.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime, time,
};

/// A request, as far as scripts distinguish requests.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Script {
    /// An answer: status, additional headers, body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// An answer in these bytes, on a connection that stays open.
    Raw(&'static [u8]),
    /// These bytes, and a closed connection.
    Cut(&'static [u8]),
    /// Another script after a pause.
    After(Duration, Box<Self>),
    /// No answer, on an open connection.
    Hang,
    /// An answer at one byte a second.
    Drip,
    /// An answer that is cut off.
    CutOff,
    /// A closed connection.
    Close,
}

/// An answer with trailers: two about the account behind the credential, and one other.
pub const WITH_TRAILERS: Script = Script::Raw(
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\
      trailer: x-ratelimit-remaining-tokens, openai-organization, x-sum\r\n\r\n2\r\n{}\r\n0\r\n\
      x-ratelimit-remaining-tokens: 7\r\nOpenAI-Organization: org-1\r\nx-sum: 9\r\n\r\n",
);

impl Script {
    /// Returns an answer without additional headers.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(status, Vec::new(), body.into())
    }
}

type Handler = dyn Fn(&Call) -> Script + Send + Sync;

struct State {
    handler: Mutex<Arc<Handler>>,
    calls: Mutex<Vec<Call>>,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A running server. It ends on drop.
pub struct Scripted {
    address: SocketAddr,
    state: Arc<State>,
    runtime: Option<runtime::Runtime>,
}

impl Scripted {
    /// Starts the server on a free port.
    pub fn start(handler: impl Fn(&Call) -> Script + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            handler: Mutex::new(Arc::new(handler)),
            calls: Mutex::default(),
            now: AtomicUsize::default(),
            most: AtomicUsize::default(),
        });
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
            #[expect(unreachable_code, reason = "it tells the type of the error")]
            anyhow::Ok(())
        });
        Ok(Self { address, state, runtime: Some(runtime) })
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the script from now on.
    pub fn now(&self, handler: impl Fn(&Call) -> Script + Send + Sync + 'static) {
        *lock(&self.state.handler) = Arc::new(handler);
    }

    /// Returns all calls, oldest first.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// Returns the number of calls whose target begins with `prefix`.
    pub fn count(&self, prefix: &str) -> usize {
        lock(&self.state.calls).iter().filter(|call| call.target.starts_with(prefix)).count()
    }

    /// Returns the largest number of concurrent calls, without long polls.
    pub fn most_at_once(&self) -> usize {
        self.state.most.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(mut stream: TcpStream, state: Arc<State>) -> Result<()> {
    let mut buffer = Vec::new();
    while let Some(call) = read(&mut stream, &mut buffer).await? {
        let handler = Arc::clone(&lock(&state.handler));
        lock(&state.calls).push(call.clone());
        let counts = !call.target.contains("wait=");
        if counts {
            let now = state.now.fetch_add(1, Ordering::SeqCst) + 1;
            state.most.fetch_max(now, Ordering::SeqCst);
        }
        let done = follow(&mut stream, handler(&call)).await;
        if counts {
            state.now.fetch_sub(1, Ordering::SeqCst);
        }
        if !done? {
            break;
        }
    }
    Ok(())
}

/// Follows a script. Returns true if the connection can be used further.
async fn follow(stream: &mut TcpStream, mut script: Script) -> Result<bool> {
    while let Script::After(pause, then) = script {
        time::sleep(pause).await;
        script = *then;
    }
    match script {
        Script::Answer(status, headers, body) => {
            stream.write_all(head(status, &headers, body.len()).as_bytes()).await?;
            stream.write_all(&body).await?;
            return Ok(true);
        }
        Script::Raw(bytes) => {
            stream.write_all(bytes).await?;
            return Ok(true);
        }
        // The client times out first.
        Script::Hang => _ = stream.read(&mut [0]).await?,
        Script::Drip => {
            for byte in head(200, &[], 100).bytes() {
                stream.write_all(&[byte]).await?;
                time::sleep(Duration::from_secs(1)).await;
            }
        }
        Script::CutOff => {
            stream.write_all(format!("{}{{\"sha256\":", head(200, &[], 500)).as_bytes()).await?;
        }
        Script::Cut(bytes) => stream.write_all(bytes).await?,
        Script::Close | Script::After(..) => {}
    }
    Ok(false)
}

fn head(status: u16, headers: &[(&'static str, String)], length: usize) -> String {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        head += "content-type: application/json\r\n";
    }
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    if status != 204 {
        head.extend(["content-length: ", &length.to_string(), "\r\n"]);
    }
    head + "\r\n"
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Option<Call>> {
    loop {
        if let Some((call, length)) = parse(buffer)? {
            buffer.drain(..length);
            return Ok(Some(call));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Returns the first request in the buffer and its length, `None` while it is incomplete.
fn parse(buffer: &[u8]) -> Result<Option<(Call, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(head) = request.parse(buffer)? else { return Ok(None) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(String, String)> =
        request.headers.iter().map(|header| (header.name.to_ascii_lowercase(), text(header.value))).collect();
    let rest = buffer.get(head..).unwrap_or_default();
    let Some((body, length)) = parse_body(&headers, rest)? else { return Ok(None) };
    let call = Call {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        headers,
        body,
    };
    Ok(Some((call, head + length)))
}

/// Returns the body at the beginning of `rest` and its encoded length, `None` while it is incomplete.
fn parse_body(headers: &[(String, String)], rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return parse_chunks(rest);
    }
    let size: usize =
        header("content-length").map_or(Ok(0), |value| value.parse()).context("content-length")?;
    Ok(rest.get(..size).map(|body| (body.to_vec(), size)))
}

/// Returns the content of a chunked body (RFC 9112, section 7.1) and its encoded length. Trailers are left out.
fn parse_chunks(rest: &[u8]) -> Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = rest.get(at..).unwrap_or_default();
        let size = httparse::parse_chunk_size(line).map_err(|_| anyhow!("a chunk without a size"))?;
        let httparse::Status::Complete((head, size)) = size else { return Ok(None) };
        let begin = at + head;
        if size == 0 {
            return Ok(
                end_of_trailers(rest.get(begin..).unwrap_or_default()).map(|length| (body, begin + length))
            );
        }
        let end = begin + usize::try_from(size)?;
        // Every chunk ends with CRLF.
        let (Some(chunk), Some(end_of_line)) = (rest.get(begin..end), rest.get(end..end + 2)) else {
            return Ok(None);
        };
        ensure!(end_of_line == b"\r\n", "a chunk does not end where it says");
        body.extend_from_slice(chunk);
        at = end + 2;
    }
}

/// Returns the length of the trailers and the empty line behind them, `None` while they are incomplete.
fn end_of_trailers(rest: &[u8]) -> Option<usize> {
    if rest.starts_with(b"\r\n") {
        return Some(2);
    }
    rest.windows(4).position(|window| window == b"\r\n\r\n").map(|position| position + 4)
}
