//! A small HTTP/2 client with prior knowledge (RFC 9113 section 3.3), which sends a body in slices.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Channel, channel::Sender};
use hyper::{HeaderMap, client::conn::http2, header::HeaderName};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpStream,
    runtime,
    task::{self, JoinSet},
    time,
};

use crate::http::{Request, Response};

type Client = http2::SendRequest<Channel<Bytes>>;

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

/// The state of a stream in which its client leaves, by a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The head is on its way.
    AtOnce,
    /// A part of the body is on its way.
    InBody,
    /// All is on its way, and nothing has come back.
    Unanswered,
    /// The head of the answer is there.
    AtHead,
    /// A part of the answer's body is there.
    InAnswer,
}

impl Leave {
    /// All states.
    pub const ALL: [Self; 5] = [Self::AtOnce, Self::InBody, Self::Unanswered, Self::AtHead, Self::InAnswer];
}

/// Sends requests at once on one connection, and resets each stream in its state. Returns the statuses of the answers that
/// were waited for.
pub(crate) fn leave(address: SocketAddr, requests: &[(Request, Leave)]) -> Result<Vec<Option<u16>>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = connect(address).await?;
        let mut streams = JoinSet::new();
        for (request, leave) in requests {
            streams.spawn(leave_one(client.clone(), request.clone(), *leave));
        }
        let left = time::timeout(PATIENCE, streams.join_all()).await.context("a stream takes too long")?;
        left.into_iter().collect()
    })
}

async fn leave_one(mut client: Client, request: Request, leave: Leave) -> Result<Option<u16>> {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let answer = client.send_request(head_of(&request)?.body(body)?);
    if leave == Leave::AtOnce {
        // The connection sends what it has while this task rests.
        task::yield_now().await;
        return Ok(None);
    }
    let content = Bytes::copy_from_slice(request.content());
    let half = content.len() / 2;
    // A refusal may come before the body is sent.
    let _ = sender.send_data(content.slice(..half)).await;
    if leave == Leave::InBody {
        task::yield_now().await;
        return Ok(None);
    }
    let _ = sender.send_data(content.slice(half..)).await;
    drop(sender);
    if leave == Leave::Unanswered {
        task::yield_now().await;
        return Ok(None);
    }
    let (head, mut body) = answer.await.context("no answer came")?.into_parts();
    if leave == Leave::InAnswer {
        body.frame().await.transpose().context("the answer was cut off")?;
    }
    Ok(Some(head.status.as_u16()))
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
    let mut client = connect(address).await?;
    let (sender, body) = Channel::<Bytes>::new(1);
    let answer = client.send_request(head_of(request)?.body(body)?);
    let (received, ()) = tokio::join!(receive(answer), feed(sender, request.content(), slices));
    received
}

async fn connect(address: SocketAddr) -> Result<Client> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn head_of(request: &Request) -> Result<hyper::http::request::Builder> {
    let mut head = hyper::Request::builder()
        .method(request.method())
        .uri(format!("http://keyswap.test{}", str::from_utf8(request.target())?));
    for (name, value) in request.headers() {
        head = head.header(name.as_slice(), value.as_slice());
    }
    Ok(head)
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
