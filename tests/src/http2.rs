//! A small HTTP/2 client with prior knowledge (RFC 9113 section 3.3), which sends a body in slices.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Channel, channel::Sender};
use hyper::{HeaderMap, client::conn::http2, header::HeaderName};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, runtime, time};

use crate::http::{Request, Response};

/// The time limit of an exchange.
const PATIENCE: Duration = Duration::from_mins(1);

/// A body as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Slices<'s> {
    /// The bytes of a DATA frame, at most.
    pub size: usize,
    /// The trailers behind the body.
    pub trailers: &'s [(&'s str, &'s str)],
}

/// Sends a request on a new connection, and waits for the whole answer, its trailers behind its headers.
pub(crate) fn send(address: SocketAddr, request: &Request, slices: Slices<'_>) -> Result<Response> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let answer = time::timeout(PATIENCE, exchange(address, request, slices));
        answer.await.context("the exchange takes too long")?
    })
}

async fn exchange(address: SocketAddr, request: &Request, slices: Slices<'_>) -> Result<Response> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let (sender, body) = Channel::<Bytes>::new(1);
    let mut head = hyper::Request::builder()
        .method(request.method())
        .uri(format!("http://keyswap.test{}", str::from_utf8(request.target())?));
    for (name, value) in request.headers() {
        head = head.header(name.as_slice(), value.as_slice());
    }
    let answer = client.send_request(head.body(body)?);
    let (received, ()) = tokio::join!(receive(answer), feed(sender, request.content(), slices));
    received
}

async fn receive(
    answer: impl Future<Output = hyper::Result<hyper::Response<hyper::body::Incoming>>>,
) -> Result<Response> {
    let (head, body) = answer.await.context("no answer came")?.into_parts();
    let body = body.collect().await.context("the answer was cut off")?;
    let fields = |map: &HeaderMap| -> Vec<(String, Vec<u8>)> {
        map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
    };
    let headers = [fields(&head.headers), body.trailers().map(fields).unwrap_or_default()].concat();
    Ok(Response { status: head.status.as_u16(), headers, body: body.to_bytes().to_vec() })
}

/// Sends a body, until its end or until it is not wanted any more.
async fn feed(mut sender: Sender<Bytes>, body: &[u8], slices: Slices<'_>) {
    for slice in body.chunks(slices.size) {
        if sender.send_data(Bytes::copy_from_slice(slice)).await.is_err() {
            return;
        }
    }
    let field = |(name, value): &(&str, &str)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?));
    let trailers: HeaderMap = slices.trailers.iter().filter_map(field).collect();
    if !trailers.is_empty() {
        let _ = sender.send_trailers(trailers).await;
    }
}
