//! A client that may have a certificate: each value is one connection, over which requests go one after another.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
    time,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    },
};

use crate::{
    authority::{Authority, Pair},
    http::{Request, Response},
};

/// The time limit of an exchange.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that trusts an authority. Its connections resume the sessions of those before them, where the server allows it.
#[derive(Debug)]
pub struct TlsClient(Arc<ClientConfig>);

/// A connection.
#[derive(Debug)]
pub struct TlsConnection {
    runtime: Runtime,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl TlsClient {
    /// Returns a client with this certificate, if any, that speaks HTTP/2 or HTTP/1.1.
    pub fn new(authority: &Authority, pair: Option<&Pair>, is_http2: bool) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes())?)?;
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match pair {
            Some(Pair { certificate, key }) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![if is_http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Ok(Self(Arc::new(config)))
    }

    /// Opens a connection.
    pub fn connect(&self, address: SocketAddr) -> Result<TlsConnection> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let sender = runtime.block_on(async {
            time::timeout(PATIENCE, open(&self.0, address)).await.context("the handshake takes too long")?
        })?;
        Ok(TlsConnection { runtime, sender })
    }

    /// Sends a request on a connection of its own.
    pub fn send(&self, address: SocketAddr, request: &Request) -> Result<Response> {
        self.connect(address)?.send(request)
    }
}

impl TlsConnection {
    /// Sends a request, and waits for the whole answer.
    pub fn send(&mut self, request: &Request) -> Result<Response> {
        let Self { runtime, sender } = self;
        runtime.block_on(async {
            time::timeout(PATIENCE, exchange(sender, request)).await.context("the exchange takes too long")?
        })
    }
}

async fn open(config: &Arc<ClientConfig>, address: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    let server = ServerName::try_from("localhost")?;
    let stream: TlsStream<_> = TlsConnector::from(Arc::clone(config)).connect(server, stream).await?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if is_http2 {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        return Ok(Sender::Http2(sender));
    }
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(Sender::Http1(sender))
}

async fn exchange(sender: &mut Sender, request: &Request) -> Result<Response> {
    let target = str::from_utf8(request.target())?;
    let uri = match sender {
        Sender::Http1(_) => target.to_owned(),
        Sender::Http2(_) => format!("https://keyswap.test{target}"),
    };
    let mut head = hyper::Request::builder().method(request.method()).uri(uri);
    if matches!(sender, Sender::Http1(_)) {
        head = head.header("host", "keyswap.test");
    }
    for (name, value) in request.headers() {
        head = head.header(name.as_slice(), value.as_slice());
    }
    let whole = head.body(Full::new(Bytes::copy_from_slice(request.content())))?;
    let answer = match sender {
        Sender::Http1(sender) => {
            sender.ready().await?;
            sender.send_request(whole).await
        }
        Sender::Http2(sender) => sender.send_request(whole).await,
    };
    let (head, body) = answer.context("no answer came")?.into_parts();
    let fields = head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    let body = body.collect().await.context("the answer was cut off")?.to_bytes().to_vec();
    Ok(Response { status: head.status.as_u16(), headers: fields.collect(), body })
}
