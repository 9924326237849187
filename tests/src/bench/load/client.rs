//! A client: one connection to a proxy, with one request after the other.

use std::{io, net::SocketAddr};

use anyhow::{Context as _, Result, ensure};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::requests::Requests;
use crate::bench::wire::{Connection, PADDING};

/// A client's connection to a proxy.
pub(super) struct Client {
    address: SocketAddr,
    pub(super) connection: Connection,
}

impl Client {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { address, connection: Connection::new(TcpStream::connect(address).await?)? })
    }

    /// Sends the next request and reads its answer. Reconnects if the proxy closes the connection afterwards.
    pub(super) async fn exchange(&mut self, requests: &Requests) -> Result<()> {
        let stream = &mut self.connection.stream;
        stream.write_all(requests.next()).await?;
        let mut left = requests.padding;
        while left > 0 {
            let part = PADDING.get(..left).unwrap_or(PADDING.as_slice());
            stream.write_all(part).await?;
            left -= part.len();
        }
        stream.write_all(requests.tail.as_bytes()).await?;
        let head = self.connection.head().await?.context("the proxy closed the connection")?;
        let (status, expected) = (head.status(), requests.status);
        ensure!(status == Some(expected), "a request was answered {status:?}, not {expected}");
        self.connection.skip_body(&head).await?;
        if head.value("connection") == Some(b"close") {
            *self = Self::open(self.address).await?;
        }
        Ok(())
    }
}
