//! A small rate limit service for Envoy's global rate limit filter (`envoy.service.ratelimit.v3`, gRPC).
//!
//! It allows a fixed number of requests with each descriptor. The limit has no period: once reached, it stays reached.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Ready, ready},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use hyper::{Request, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::runtime;
use tonic::{Response, Status, server::Grpc, server::UnaryService};
use tonic_prost::ProstCodec;

/// A running service. It ends on drop.
#[derive(Debug)]
pub struct RateLimitService {
    address: SocketAddr,
    counts: Counts,
    runtime: Option<runtime::Runtime>,
}

/// The number of requests with each descriptor, as `key=value`.
type Counts = Arc<Mutex<HashMap<String, u32>>>;

impl RateLimitService {
    /// Starts the service on a free port. It allows `limit` requests with each descriptor.
    pub fn start(limit: u32) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let service = Self {
            address: listener.local_addr()?,
            counts: Counts::default(),
            runtime: Some(runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?),
        };
        let limiter = Limiter { limit, counts: Arc::clone(&service.counts) };
        if let Some(runtime) = &service.runtime {
            runtime.spawn(serve(listener, limiter));
        }
        Ok(service)
    }

    /// Returns the address that the service listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of requests with each descriptor, as `key=value`.
    pub fn counts(&self) -> HashMap<String, u32> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RateLimitService {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, limiter: Limiter) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (connection, _) = listener.accept().await?;
        let limiter = limiter.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let limiter = limiter.clone();
            async move { Ok::<_, Infallible>(Grpc::new(ProstCodec::default()).unary(limiter, request).await) }
        });
        let http = http2::Builder::new(TokioExecutor::new());
        tokio::spawn(http.serve_connection(TokioIo::new(connection), service));
    }
}

/// The one method of the service, `ShouldRateLimit`.
#[derive(Clone)]
struct Limiter {
    limit: u32,
    counts: Counts,
}

impl UnaryService<RateLimitRequest> for Limiter {
    type Response = RateLimitResponse;
    type Future = Ready<Result<Response<RateLimitResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<RateLimitRequest>) -> Self::Future {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut code = Code::Ok;
        for entry in request.into_inner().descriptors.into_iter().flat_map(|descriptor| descriptor.entries) {
            let count = counts.entry(format!("{}={}", entry.key, entry.value)).or_default();
            *count += 1;
            if *count > self.limit {
                code = Code::OverLimit;
            }
        }
        ready(Ok(Response::new(RateLimitResponse { overall_code: code.into() })))
    }
}

/// The used parts of Envoy's messages.
#[derive(Clone, PartialEq, Message)]
struct RateLimitRequest {
    #[prost(message, repeated, tag = "2")]
    descriptors: Vec<Descriptor>,
}

#[derive(Clone, PartialEq, Message)]
struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct RateLimitResponse {
    #[prost(enumeration = "Code", tag = "1")]
    overall_code: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
enum Code {
    Unknown = 0,
    Ok = 1,
    OverLimit = 2,
}
