//! Hosts: the proxies that can be measured.

use std::{net::SocketAddr, ops::Deref};

use anyhow::Result;

use crate::{Answer, Meter, Server};

/// A proxy that can be measured.
pub(in crate::bench) trait Host {
    /// Returns the address on which it listens.
    fn address(&self) -> SocketAddr;
    /// Returns the meter of what it uses.
    fn meter(&self) -> Meter;
    /// Sends what is given, and returns when the head of the answer is there.
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
