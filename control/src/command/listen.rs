//! Addresses to listen on, in arguments.

use std::net::SocketAddr;

/// Parses an IP address and a port.
pub(super) fn parse(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "expected an IP address and a port, such as `127.0.0.1:7070`")
}
