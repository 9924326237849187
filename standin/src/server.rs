//! The stand-in's connections: TLS, HTTP/1.1, the record of requests, and held streams.
//!
//! The messages of a WebSocket are in the record's bytes, not among its requests.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Channel, Either, Full, channel::Sender};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Version,
    body::{Body as _, Incoming},
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    http::request::Parts,
    server::conn::{http1, http2},
    service::service_fn,
    upgrade::OnUpgrade,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{
    answer::{Answer, Content},
    received::{Received, Record},
    refusal::{Refusal, Refuses},
    services, upload,
};

type Body = Either<Full<Bytes>, Channel<Bytes>>;

#[derive(Clone)]
pub(super) struct Server {
    tls: TlsAcceptor,
    address: SocketAddr,
    record: Arc<Record>,
    held: watch::Receiver<bool>,
    refuses: watch::Receiver<Refuses>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(
        tls: Arc<ServerConfig>,
        address: SocketAddr,
        record: Arc<Record>,
        held: watch::Receiver<bool>,
        refuses: watch::Receiver<Refuses>,
    ) -> Self {
        Self { tls: tls.into(), address, record, held, refuses }
    }

    pub(super) async fn run(self, listener: TcpListener) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            if let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(self.clone().serve(connection));
            }
        }
    }

    /// Serves a connection. Errors are ignored: the client sees them, and the record has all bytes until then.
    async fn serve(self, connection: TcpStream) {
        // Without Nagle's algorithm events are sent at once.
        let _ = connection.set_nodelay(true);
        let Ok(tls) = self.tls.accept(connection).await else { return };
        let session = tls.get_ref().1;
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let side = Side { name: session.server_name().unwrap_or_default().to_owned(), address: None };
        if is_http2 { self.serve_http2(tls, side).await } else { self.serve_over(tls, side).await }
    }

    pub(super) async fn run_plain(
        self,
        listener: TcpListener,
        name: String,
        address: SocketAddr,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let side = Side { name, address: Some(address.to_string()) };
        loop {
            if let Ok((connection, _)) = listener.accept().await {
                let _ = connection.set_nodelay(true);
                let (server, side) = (self.clone(), side.clone());
                tokio::spawn(async move { server.serve_over(connection, side).await });
            }
        }
    }

    async fn serve_over(self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, side: Side) {
        let connection = Tap { inner: connection, record: Arc::clone(&self.record) };
        let service = service_fn(|request| self.respond(&side, request));
        let mut http = http1::Builder::new();
        // The limits exceed Envoy's, so the stand-in refuses no request that Envoy forwards.
        http.max_headers(4096).max_buf_size(4 << 20);
        let _ = http.serve_connection(TokioIo::new(connection), service).with_upgrades().await;
    }

    async fn serve_http2(self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, side: Side) {
        let connection = Tap { inner: connection, record: Arc::clone(&self.record) };
        let service = service_fn(|request| {
            let (server, side) = (self.clone(), side.clone());
            async move { server.respond(&side, request).await }
        });
        let http = http2::Builder::new(TokioExecutor::new());
        let _ = http.serve_connection(TokioIo::new(connection), service).await;
    }

    async fn respond(&self, side: &Side, mut request: Request<Incoming>) -> hyper::Result<Response<Body>> {
        let upgrade = hyper::upgrade::on(&mut request);
        let (head, body) = request.into_parts();
        let received = receive(side, &head, body).await?;
        let answer = self.answer(&received);
        self.record.add(received);
        Ok(self.response(answer, upgrade))
    }

    fn answer(&self, request: &Received) -> Answer {
        let refuses = Arc::clone(&self.refuses.borrow());
        if let Some(Refusal { status, headers, body }) = refuses(request) {
            let header = |(name, value): (&'static str, String)| {
                Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
            };
            let headers = headers.into_iter().filter_map(header).collect();
            return Answer { status, headers, content: Content::Json(body) };
        }
        upload::answer(request, self.address).unwrap_or_else(|| services::answer(request))
    }

    fn response(&self, answer: Answer, upgrade: OnUpgrade) -> Response<Body> {
        let (content_type, body) = match answer.content {
            Content::Json(json) => (Some("application/json"), Either::Left(Full::from(json.to_string()))),
            Content::Events { events, first_text } => {
                (Some("text/event-stream; charset=utf-8"), Either::Right(self.stream(events, first_text)))
            }
            Content::WebSocket(conversation) => {
                tokio::spawn(conversation.hold(upgrade));
                (None, Either::Left(Full::default()))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        response.headers_mut().extend(answer.headers);
        if let Some(content_type) = content_type {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        response
    }

    fn stream(&self, events: Vec<String>, first_text: usize) -> Channel<Bytes> {
        let (sender, body) = Channel::new(1);
        tokio::spawn(send_events(sender, events, first_text, self.held.clone()));
        body
    }
}

/// Sends events. Ends early if the client disconnects.
async fn send_events(
    mut sender: Sender<Bytes>,
    events: Vec<String>,
    first_text: usize,
    mut held: watch::Receiver<bool>,
) {
    for (number, event) in events.into_iter().enumerate() {
        if number > first_text && held.wait_for(|held| !held).await.is_err() {
            return;
        }
        if sender.send_data(Bytes::from(event)).await.is_err() {
            return;
        }
    }
}

/// The upstream that a listener replaces.
#[derive(Clone)]
struct Side {
    /// The host name of the upstream.
    name: String,
    /// The listener's address, for a plain listener: clients use it in place of the name.
    address: Option<String>,
}

impl Side {
    /// Returns the header lines, with the listener's address replaced by the name.
    fn fields(&self, map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let mut fields = fields(map);
        let is_own = |value: &[u8]| self.address.as_ref().is_some_and(|own| own.as_bytes() == value);
        for (_, value) in fields.iter_mut().filter(|(name, value)| name == "host" && is_own(value)) {
            *value = self.name.clone().into_bytes();
        }
        fields
    }
}

async fn receive(side: &Side, head: &Parts, body: Incoming) -> hyper::Result<Received> {
    let body = if body.is_end_stream() { None } else { Some(body.collect().await?) };
    // Over HTTP/2 the authority stands in the target.
    let host = head.uri.authority().map(|authority| ("host".to_owned(), authority.as_str().into()));
    let host = host.filter(|_| head.version == Version::HTTP_2).into_iter().collect();
    let trailers = body.as_ref().and_then(|body| body.trailers()).map(fields).unwrap_or_default();
    Ok(Received {
        sni: side.name.clone(),
        method: head.method.to_string(),
        target: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: [host, side.fields(&head.headers)].concat(),
        body: body.map(|body| body.to_bytes().to_vec()).unwrap_or_default(),
        trailers,
    })
}

fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// A stream that copies all read bytes into the record.
struct Tap<T> {
    inner: T,
    record: Arc<Record>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Tap<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        self.record.add_bytes(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tap<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
