//! The client of a request: the name under which sign-in attempts are counted, and if the connection is local.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use crate::server::connections::Channel;
use crate::server::network::network;

/// The client of a connection.
pub(in crate::server) struct Client {
    address: Option<IpAddr>,
    /// Set if the request came without TLS from this machine, so that its cookie needs no `Secure`.
    pub(super) is_local: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let info = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let address = info.map(|ConnectInfo(peer)| peer.ip().to_canonical());
        let is_encrypted =
            parts.extensions.get::<Channel>().is_some_and(|Channel { is_encrypted, .. }| *is_encrypted);
        let is_local = !is_encrypted
            && address.is_some_and(|address| address.is_loopback())
            && is_loopback(host(&parts.headers))
            && !parts.headers.contains_key("x-forwarded-proto");
        Ok(Self { address, is_local })
    }
}

impl Client {
    /// Returns the name under which attempts are counted: the IPv4 address, or the IPv6 /64 network, which one client
    /// controls.
    pub(in crate::server) fn name(&self) -> String {
        match self.address.map(network) {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(network)) => format!("{network}/64"),
        }
    }
}

/// Returns the `Host` header, empty if it is absent or not text.
pub(super) fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn is_loopback(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_host_is_one_by_name_or_by_address() {
        for host in ["localhost", "LOCALHOST:7070", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:7070"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "a.example", "localhost.a.example", "127.0.0.1.a.example", "[::2]:80", "10.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn attempts_are_counted_for_an_address_or_a_network_of_ipv6() {
        let client = |text: &str| Client { address: text.parse().ok(), is_local: false }.name();
        assert_eq!(client("2001:db8::ffff:1"), "2001:db8::/64");
        assert_eq!(client("192.0.2.1"), "192.0.2.1");
    }
}
