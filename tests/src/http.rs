//! A small HTTP/1.1 client that sends given bytes unchanged, and returns an answer while it arrives.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// The time limit of an answer, longer than any regular answer takes.
const PATIENCE: Duration = Duration::from_secs(30);
const MAX_HEADERS: usize = 256;

/// A request, sent as written. Only `host`, `content-length` and `connection: close` are added.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// Returns a request for a target, which is sent unchanged.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        let target = target.as_ref().to_vec();
        Self { method: method.to_owned(), target, headers: Vec::new(), body: Vec::new() }
    }

    /// Returns a GET request.
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// Returns a POST request with a JSON body.
    pub fn post(target: impl AsRef<[u8]>, json: &Value) -> Self {
        Self::new("POST", target).header("content-type", "application/json").body(json.to_string())
    }

    /// Adds a header. Several headers of one name are sent as several lines.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Adds `authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Replaces the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    pub(crate) fn target(&self) -> &[u8] {
        &self.target
    }

    pub(crate) fn headers(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.headers
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.body
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" HTTP/1.1\r\n"].concat();
        let has =
            |name: &str| self.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name.as_bytes()));
        if !has("host") {
            bytes.extend(b"host: keyswap.test\r\n");
        }
        if !has("connection") {
            bytes.extend(b"connection: close\r\n");
        }
        if !has("content-length") && !has("transfer-encoding") && !self.body.is_empty() {
            bytes.extend(format!("content-length: {}\r\n", self.body.len()).bytes());
        }
        for (name, value) in &self.headers {
            bytes.extend([name.as_slice(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Response {
    /// Returns the first header of that name, `None` if it is absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        values.next().and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// Returns the status, with the reason if Keyswap refused: `200`, or `401 token_invalid`.
    pub fn verdict(&self) -> String {
        match self.header("x-keyswap-reason") {
            Some(reason) => format!("{} {reason}", self.status),
            None => self.status.to_string(),
        }
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Parses the body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("status {}, and the body is not JSON: {}", self.status, self.text()))
    }
}

/// Sends a request whose body is written in slices of this size, chunked or with its length. Returns the bytes of the answer:
/// none where the connection was closed without one.
pub(crate) fn send_sliced(
    address: SocketAddr,
    request: &Request,
    slice: usize,
    is_chunked: bool,
) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head = Request { body: Vec::new(), ..request.clone() };
    let head = if is_chunked {
        head.header("transfer-encoding", "chunked")
    } else {
        head.header("content-length", request.body.len().to_string())
    };
    stream.write_all(&head.bytes())?;
    let parts = request.body.chunks(slice).map(|part| {
        let size = format!("{:x}\r\n", part.len());
        if is_chunked { [size.as_bytes(), part, b"\r\n"].concat() } else { part.to_vec() }
    });
    let end = is_chunked.then(|| b"0\r\n\r\n".to_vec());
    for bytes in parts.chain(end) {
        // A refusal may come before all is sent.
        if stream.write_all(&bytes).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends `request` and waits for the whole answer.
pub fn send(address: SocketAddr, request: &Request) -> Result<Response> {
    open(address, request)?.finish()
}

/// Sends `request`. Returns when the head of the answer has arrived.
pub fn open(address: SocketAddr, request: &Request) -> Result<Answer> {
    open_raw(address, &request.bytes())
}

/// Sends bytes that need not be a valid request.
pub(crate) fn open_raw(address: SocketAddr, bytes: &[u8]) -> Result<Answer> {
    Answer::read_head(BufReader::new(connect(address, bytes)?))
}

fn connect(address: SocketAddr, bytes: &[u8]) -> Result<TcpStream> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    // The peer may answer and close before it has read everything.
    let _ = connection.write_all(bytes);
    Ok(connection)
}

/// Sends all requests at once, each on its own connection, and waits for all answers.
pub(crate) fn burst(address: SocketAddr, requests: &[Request]) -> Result<Vec<Response>> {
    let send = |request: &Request| connect(address, &request.bytes());
    let connections: Vec<TcpStream> = requests.iter().map(send).collect::<Result<_>>()?;
    let receive = |connection| Answer::read_head(BufReader::new(connection))?.finish();
    connections.into_iter().map(receive).collect()
}

#[derive(Debug)]
enum Remaining {
    Bytes(usize),
    Chunks,
    UntilClose,
}

/// An answer whose head has arrived.
#[derive(Debug)]
pub struct Answer {
    head: Response,
    remaining: Remaining,
    /// The bytes after the last event.
    pending: Vec<u8>,
    connection: BufReader<TcpStream>,
}

impl Answer {
    fn read_head(mut connection: BufReader<TcpStream>) -> Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let read = connection.read_until(b'\n', &mut head).context("the answer did not arrive")?;
            ensure!(read > 0, "the connection was closed after {:?}", String::from_utf8_lossy(&head));
        }
        let head = parse_head(&head)?;
        let remaining = if matches!(head.status, 101 | 204 | 304) {
            Remaining::Bytes(0)
        } else if head.header("transfer-encoding") == Some("chunked") {
            Remaining::Chunks
        } else if let Some(length) = head.header("content-length") {
            Remaining::Bytes(length.parse()?)
        } else {
            Remaining::UntilClose
        };
        Ok(Self { head, remaining, pending: Vec::new(), connection })
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// Returns the first header of that name, `None` if it is absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    /// Waits for the next event of an event stream, and returns its text. Returns `None` at the end.
    pub fn next_event(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = end_of_event(&self.pending) {
                let rest = self.pending.split_off(end);
                let event = std::mem::replace(&mut self.pending, rest);
                return Ok(Some(String::from_utf8(event)?));
            }
            let Some(bytes) = self.next_bytes()? else {
                ensure!(self.pending.is_empty(), "the stream ended inside of an event");
                return Ok(None);
            };
            self.pending.extend(bytes);
        }
    }

    /// Waits for the rest of the answer.
    pub fn finish(mut self) -> Result<Response> {
        let mut body = std::mem::take(&mut self.pending);
        while let Some(bytes) = self.next_bytes()? {
            body.extend(bytes);
        }
        Ok(Response { body, ..self.head })
    }

    /// Reads a chunk, or the bytes that are available. Returns `None` at the end.
    fn next_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        let bytes = match &mut self.remaining {
            Remaining::Chunks => return self.next_chunk(),
            Remaining::Bytes(length) => {
                let mut bytes = vec![0; std::mem::take(length)];
                self.connection.read_exact(&mut bytes).context("the answer was cut off")?;
                bytes
            }
            Remaining::UntilClose => {
                let bytes = self.connection.fill_buf()?.to_vec();
                self.connection.consume(bytes.len());
                bytes
            }
        };
        Ok(if bytes.is_empty() { None } else { Some(bytes) })
    }

    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = String::new();
        ensure!(self.connection.read_line(&mut line)? > 0, "the answer was cut off");
        let size =
            usize::from_str_radix(line.trim(), 16).with_context(|| format!("`{line}` is no chunk size"))?;
        let mut chunk = vec![0; size.saturating_add(2)];
        self.connection.read_exact(&mut chunk).context("the answer was cut off")?;
        chunk.truncate(size);
        if size == 0 {
            self.remaining = Remaining::Bytes(0);
            return Ok(None);
        }
        Ok(Some(chunk))
    }
}

/// Returns the position after the empty line that ends an event.
fn end_of_event(bytes: &[u8]) -> Option<usize> {
    let ends = ["\n\n", "\r\n\r\n"].into_iter().filter_map(|end| {
        let position = bytes.windows(end.len()).position(|window| window == end.as_bytes())?;
        position.checked_add(end.len())
    });
    ends.min()
}

fn parse_head(bytes: &[u8]) -> Result<Response> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    if head.parse(bytes)?.is_partial() {
        bail!("the head of the answer is incomplete");
    }
    let headers =
        head.headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect();
    Ok(Response { status: head.code.context("an answer without a status")?, headers, body: Vec::new() })
}
