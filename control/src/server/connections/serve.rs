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
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::channel::Channel;
use super::places::{ConnectionLimits, Places};
use super::prompt::Prompt;
use super::tls::Tls;

/// The way to serve a connection. Clones share the router.
#[derive(Clone)]
struct Protocol {
    http: http1::Builder,
    router: TowerToHyperService<Router>,
    patience: Duration,
}

/// Serves until `stop` completes, and returns when all requests in progress are answered.
pub(in crate::server) async fn serve(
    mut listener: TcpListener,
    mut tls: Option<Tls>,
    router: Router,
    patience: Duration,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience);
    let protocol = Protocol { http, router: TowerToHyperService::new(router), patience };
    let connections = GracefulShutdown::new();
    let places = Places::new(limits);
    let mut stop = pin!(stop);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = keep_current(tls.as_mut()) => continue,
            () = &mut stop => break,
        };
        let Some(place) = places.take(peer.ip()) else {
            tracing::debug!("closed a connection: too many are open");
            continue;
        };
        let (protocol, acceptor) = (protocol.clone(), tls.as_ref().map(Tls::acceptor));
        let watcher = connections.watcher();
        tokio::spawn(async move {
            match acceptor {
                None => protocol.http(stream, peer, Channel::default(), watcher).await,
                Some(acceptor) => protocol.https(stream, peer, &acceptor, watcher).await,
            }
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// Waits until the files of TLS are to be read, and reads them. Waits for ever without TLS.
async fn keep_current(tls: Option<&mut Tls>) {
    let Some(tls) = tls else { return pending().await };
    tls.is_due().await;
    tls.reload();
}

impl Protocol {
    async fn https(self, stream: TcpStream, peer: SocketAddr, acceptor: &TlsAcceptor, watcher: Watcher) {
        // A failed handshake concerns its client only.
        let Ok(Ok(stream)) = timeout(self.patience, acceptor.accept(stream)).await else { return };
        let is_certified = stream.get_ref().1.peer_certificates().is_some();
        self.http(stream, peer, Channel { is_encrypted: true, is_certified }, watcher).await;
    }

    async fn http<S>(self, stream: S, peer: SocketAddr, channel: Channel, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = self.router;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            request.extensions_mut().insert(channel);
            router.call(request)
        });
        let stream = TokioIo::new(Prompt::new(stream, self.patience));
        // An error of a connection concerns its client only.
        drop(watcher.watch(self.http.serve_connection(stream, service)).await);
    }
}
