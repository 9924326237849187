//! The query for the status: `GET /.well-known/keyswap`.
//!
//! A caller counts as one of this machine only if all of these hold:
//! - the request names this machine as its authority,
//! - the connection's other end is the loopback address itself,
//! - no header shows that a proxy or a web page stands in between, since either may speak for a stranger.
//!
//! A proxy without such a header cannot be told from a caller.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::request::{OF_PROXIES, RequestHead};
use crate::syntax::{RequestPath, host_of};

const PATH: &[u8] = b"/.well-known/keyswap";

/// Other headers of requests that are, or may be, for another caller.
const FOR_OTHERS: [&str; 5] =
    ["origin", "x-envoy-peer-metadata", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host"];

/// Tells whether a request asks for the status.
pub(crate) fn is_status_query(head: &RequestHead<'_>, path: &RequestPath<'_>) -> bool {
    matches!(head.method, b"GET" | b"HEAD") && path.path == PATH
}

/// Tells whether a request is from this machine, as far as its head says.
pub(crate) fn is_local(head: &RequestHead<'_>) -> bool {
    let is_direct = OF_PROXIES.iter().chain(&FOR_OTHERS).all(|name| head.values(name).next().is_none());
    // Envoy writes the address of its peer there; a proxy in front of it on this machine had a caller of its own.
    let mut askers =
        head.values("x-envoy-external-address").map(|value| str::from_utf8(value).ok()?.parse().ok());
    let is_asked_from_here = askers.all(|asker| asker.is_some_and(is_loopback));
    // A web page in a browser here may call this machine, too; under another name, if its owner has one.
    let is_page = head.values("sec-fetch-site").any(|site| site != b"none");
    is_direct
        && is_asked_from_here
        && !is_page
        && names_this_machine(head.authority)
        && (head.peer)().is_some_and(|peer| is_loopback(peer.to_canonical()))
}

/// Returns whether the address is the loopback address itself. Sidecars of a mesh bring strangers from other addresses
/// of 127.0.0.0/8.
fn is_loopback(address: IpAddr) -> bool {
    address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
}

fn names_this_machine(authority: &[u8]) -> bool {
    let host = host_of(authority);
    [&b"localhost"[..], b"127.0.0.1", b"[::1]"].iter().any(|name| host.eq_ignore_ascii_case(name))
}
