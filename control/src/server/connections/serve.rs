//! Serving of connections, with a graceful shutdown.
//!
//! A client is disconnected when it exceeds the time limit for a request's head, which also runs between two requests,
//! or for taking an answer. [`crate::server::extract`] limits the time for the body. A connection above a limit is
//! closed at once.

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
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use super::places::{ConnectionLimits, Places};
use super::prompt::Prompt;

/// Serves until `stop` completes, and returns when all requests in progress are answered.
pub(in crate::server) async fn serve(
    mut listener: TcpListener,
    router: Router,
    patience: Duration,
    limits: ConnectionLimits,
    stop: impl Future<Output = ()>,
) {
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(patience);
    let connections = GracefulShutdown::new();
    let router = TowerToHyperService::new(router);
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
        let router = router.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            router.call(request)
        });
        let stream = TokioIo::new(Prompt::new(stream, patience));
        let connection = connections.watch(protocol.serve_connection(stream, service));
        tokio::spawn(async move {
            // An error of a connection concerns its client only.
            drop(connection.await);
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}
