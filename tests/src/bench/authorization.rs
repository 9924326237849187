//! A minimal authorization server for Envoy's `ext_authz`, over gRPC or HTTP. It admits one token, counts its requests,
//! and sets and removes headers.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Result;
use hyper::{Request, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::{
    Response, Status,
    server::{Grpc, UnaryService},
};
use tonic_prost::ProstCodec;

use super::{load::Loader, wire::Connection};

mod messages;

use messages::{CheckRequest, CheckResponse};

/// The rules of the service.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The value of `authorization` that is admitted.
    pub(super) admitted: String,
    /// The headers that are set in an admitted request.
    pub(super) set: Vec<(&'static str, String)>,
    /// The headers that are removed before the others are set.
    pub(super) remove: Vec<&'static str>,
}

/// A running server. It ends with the load.
pub(super) struct Authorization {
    pub(super) address: SocketAddr,
    admitted: Arc<AtomicU64>,
}

impl Authorization {
    pub(super) fn grpc(loader: &Loader, rules: Rules) -> Result<Self> {
        let admitted = Arc::<AtomicU64>::default();
        let check = Check { rules: Arc::new(rules), admitted: Arc::clone(&admitted) };
        let address = loader.serve(move |stream| check.clone().serve_grpc(stream))?;
        Ok(Self { address, admitted })
    }

    pub(super) fn http(loader: &Loader, rules: Rules) -> Result<Self> {
        let admitted = Arc::<AtomicU64>::default();
        let check = Check { rules: Arc::new(rules), admitted: Arc::clone(&admitted) };
        let address = loader.serve(move |stream| check.clone().serve_http(stream))?;
        Ok(Self { address, admitted })
    }

    /// Returns the number of admitted requests.
    pub(super) fn admitted(&self) -> u64 {
        self.admitted.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct Check {
    rules: Arc<Rules>,
    admitted: Arc<AtomicU64>,
}

impl Check {
    fn admits(&self, authorization: Option<&[u8]>) -> bool {
        let admits = authorization == Some(self.rules.admitted.as_bytes());
        self.admitted.fetch_add(u64::from(admits), Ordering::SeqCst);
        admits
    }

    async fn serve_grpc(self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let service = service_fn(move |request: Request<Incoming>| {
            let check = self.clone();
            async move { Ok::<_, Infallible>(Grpc::new(ProstCodec::default()).unary(check, request).await) }
        });
        let http = http2::Builder::new(TokioExecutor::new());
        http.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
    }

    async fn serve_http(self, stream: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(stream)?;
        let mut admitted = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
        for (name, value) in &self.rules.set {
            admitted.extend([name, ": ", value, "\r\n"]);
        }
        let removed = self.rules.remove.join(",");
        admitted.extend(["x-envoy-auth-headers-to-remove: ", &removed, "\r\n\r\n"]);
        let refused = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
        while let Some(head) = connection.head().await? {
            connection.skip_body(&head).await?;
            let answer = if self.admits(head.value("authorization")) { &admitted } else { refused };
            connection.stream.write_all(answer.as_bytes()).await?;
        }
        Ok(())
    }
}

/// The one method of the service, `Check`.
impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = Ready<Result<Response<CheckResponse>, Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let request = request.into_inner();
        let authorization = request.header("authorization").map(str::as_bytes);
        let response = if self.admits(authorization) {
            CheckResponse::admit(&self.rules.set, &self.rules.remove)
        } else {
            CheckResponse::refuse(401)
        };
        ready(Ok(Response::new(response)))
    }
}
