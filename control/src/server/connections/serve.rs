//! Serving of connections, with a graceful shutdown.
//!
//! A client is disconnected when it exceeds the time limit for the TLS handshake, for a request's head, which also runs
//! between two requests, or for taking an answer. [`crate::server::extract`] limits the time for the body. A connection
//! above a limit is closed at once.

use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::activity::Activity;
use super::channel::Channel;
use super::files::HTTP_2;
use super::places::{ConnectionLimits, Places};
use super::prompt::Prompt;
use super::tls::TlsState;

/// The bytes of a request's head, and the most that a connection of HTTP/1 buffers. A long JWT has 16 KiB. Without a bound, half-sent
/// heads would hold 400 KiB of each connection.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The bytes of a request's head in HTTP/2, as its names and values count (RFC 9113, section 6.5.2). A connection may have
/// [`MAX_STREAMS`] heads.
const MAX_HEAD_BYTES_HTTP_2: u32 = 16 * 1024;

/// The most requests at a time on a connection of HTTP/2.
const MAX_STREAMS: u32 = 100;

/// The bytes of bodies that a connection of HTTP/2 may send before they are read.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// The bytes of a body that a request of HTTP/2 may send before they are read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// The way to serve the connections of a listener. Clones share the router.
#[derive(Clone)]
struct Protocol {
    http_1: http1::Builder,
    http_2: http2::Builder<TokioExecutor>,
    router: TowerToHyperService<Router>,
    tls: Option<TlsState>,
    patience: Duration,
}

/// The signals at which a connection finishes its requests and ends. The server ends when all are dropped.
struct Endings {
    stopped: watch::Receiver<()>,
    distrusted: Option<watch::Receiver<u64>>,
}

/// Serves until `stop` completes, and returns when all requests in progress are answered.
pub(in crate::server) async fn serve(
    mut listener: TcpListener,
    router: Router,
    tls: Option<TlsState>,
    patience: Duration,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    let protocol = Protocol::new(router, tls, patience);
    let stopped = watch::Sender::new(());
    let places = Places::new(limits);
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = &mut stop => break,
        };
        let Some(place) = places.take(peer.ip()) else {
            tracing::debug!("closed a connection: too many are open");
            continue;
        };
        let distrusted = protocol.tls.as_ref().map(TlsState::distrusted);
        let endings = Endings { stopped: stopped.subscribe(), distrusted };
        let protocol = protocol.clone();
        tokio::spawn(async move {
            protocol.connection(stream, peer, endings).await;
            drop(place);
        });
    }
    drop(listener);
    stopped.send_replace(());
    stopped.closed().await;
}

impl Protocol {
    fn new(router: Router, tls: Option<TlsState>, patience: Duration) -> Self {
        let mut http_1 = http1::Builder::new();
        http_1.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEAD_BYTES);
        let mut http_2 = http2::Builder::new(TokioExecutor::new());
        http_2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES_HTTP_2)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES);
        Self { http_1, http_2, router: TowerToHyperService::new(router), tls, patience }
    }

    async fn connection(self, stream: TcpStream, peer: SocketAddr, endings: Endings) {
        let Some(tls) = &self.tls else {
            return self.http_1(stream, peer, Channel::default(), endings).await;
        };
        // A failed handshake concerns its client only.
        let Ok(Ok(stream)) = timeout(self.patience, tls.acceptor().accept(stream)).await else { return };
        let (_, session) = stream.get_ref();
        let channel = Channel { is_encrypted: true, is_certified: session.peer_certificates().is_some() };
        match session.alpn_protocol() {
            Some(HTTP_2) => self.http_2(stream, peer, channel, endings).await,
            _ => self.http_1(stream, peer, channel, endings).await,
        }
    }

    async fn http_1<S>(self, stream: S, peer: SocketAddr, channel: Channel, endings: Endings)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router;
        let service = service_fn(move |request| router.call(told(request, peer, channel)));
        let stream = TokioIo::new(Prompt::new(stream, self.patience));
        let connection = self.http_1.serve_connection(stream, service);
        drive(connection, endings, pending(), self.patience).await;
    }

    async fn http_2<S>(self, stream: S, peer: SocketAddr, channel: Channel, endings: Endings)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (router, activity) = (self.router, Activity::new());
        let counted = activity.clone();
        let service = service_fn(move |request| {
            let (open, answer) = (counted.begin(), router.call(with_host(told(request, peer, channel))));
            async move {
                let answer = answer.await;
                drop(open);
                answer
            }
        });
        let stream = TokioIo::new(Prompt::new(stream, self.patience));
        let connection = self.http_2.serve_connection(stream, service);
        drive(connection, endings, activity.idle(self.patience), self.patience).await;
    }
}

/// Serves a connection until it ends. At one of the `endings`, or when it is `idle`, it finishes its requests and ends;
/// after `patience` an idle one is closed, since its client may not take an answer.
async fn drive<C: GracefulConnection>(
    connection: C,
    mut endings: Endings,
    idle: impl Future<Output = ()>,
    patience: Duration,
) {
    let (mut connection, mut idle) = (pin!(connection), pin!(idle));
    let is_idle = tokio::select! {
        // An error of a connection concerns its client only.
        _ = &mut connection => return,
        () = endings.one() => false,
        () = &mut idle => true,
    };
    connection.as_mut().graceful_shutdown();
    if is_idle {
        drop(timeout(patience, connection).await);
    } else {
        tokio::select! {
            _ = &mut connection => {}
            () = async { idle.await; tokio::time::sleep(patience).await } => {}
        }
    }
}

impl Endings {
    /// Waits for one of the signals.
    async fn one(&mut self) {
        let distrusted = async {
            match &mut self.distrusted {
                Some(distrusted) => drop(distrusted.changed().await),
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.stopped.changed() => {}
            () = distrusted => {}
        }
    }
}

/// Tells the handlers about the connection of a request.
fn told(
    mut request: hyper::Request<Incoming>,
    peer: SocketAddr,
    channel: Channel,
) -> hyper::Request<Incoming> {
    request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
    request.extensions_mut().insert(channel);
    request
}

/// Gives a request of HTTP/2 the header `host`, which handlers read: its authority takes precedence (RFC 9113, section
/// 8.3.1).
fn with_host(mut request: hyper::Request<Incoming>) -> hyper::Request<Incoming> {
    let authority = request.uri().authority().and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().insert(HOST, authority);
    }
    request
}
