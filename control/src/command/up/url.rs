//! The URL of an address that a server of this machine listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::server::ProxyUrl;

/// Returns the URL at which callers on this machine reach an address.
pub(super) fn url_of(has_tls: bool, address: SocketAddr) -> anyhow::Result<ProxyUrl> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("{}://{}", scheme(has_tls), SocketAddr::new(ip, address.port())).parse()
}

/// Returns the scheme of URLs.
pub(super) const fn scheme(has_tls: bool) -> &'static str {
    if has_tls { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_on_this_machine_get_an_address_of_this_machine() {
        for (has_tls, address, expect) in [
            (false, "127.0.0.1:10000", "http://127.0.0.1:10000"),
            (false, "0.0.0.0:80", "http://127.0.0.1:80"),
            (true, "[::]:80", "https://[::1]:80"),
            (false, "192.0.2.7:80", "http://192.0.2.7:80"),
        ] {
            assert_eq!(url_of(has_tls, address.parse().unwrap()).unwrap().to_string(), expect);
        }
    }
}
