//! The proxies that can be measured.

use std::{net::SocketAddr, ops::Deref};

use anyhow::Result;

use crate::{Answer, Meter, Server};

/// A proxy that can be measured.
pub(in crate::bench) trait Host {
    /// Returns the address that the proxy listens on.
    fn address(&self) -> SocketAddr;
    /// Returns the meter of the proxy's resources.
    fn meter(&self) -> Meter;
    /// Sends a request. Returns when the head of the answer has arrived.
    fn open(&self, request: &[u8]) -> Result<Answer>;
}

impl<T: Deref<Target = Server>> Host for T {
    fn address(&self) -> SocketAddr {
        Server::address(self)
    }

    fn meter(&self) -> Meter {
        Server::meter(self)
    }

    fn open(&self, request: &[u8]) -> Result<Answer> {
        self.open_raw(request)
    }
}
