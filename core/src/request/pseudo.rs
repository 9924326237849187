//! Heads of hosts that show pseudo-headers among the headers (RFC 9113 section 8.3).

use std::fmt;
use std::net::IpAddr;

use super::certificate::AskCertificate;
use super::head::{Header, RequestHead};

/// The fields of a request head, sorted in one walk.
pub struct HeadFields<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authority: &'a [u8],
    scheme: &'a [u8],
    headers: Vec<Header<'a>>,
}

/// The error of a pseudo-header that stands behind a header. Hosts ignore such a one, so it must not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MisplacedPseudoHeader;

impl fmt::Display for MisplacedPseudoHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pseudo-header stands behind a header")
    }
}

impl std::error::Error for MisplacedPseudoHeader {}

impl<'a> HeadFields<'a> {
    /// Sorts about `count` pairs of name and value, in their order.
    ///
    /// # Errors
    /// The first error of the pairs, or a pseudo-header behind a header.
    pub fn read<E: From<MisplacedPseudoHeader>>(
        count: usize,
        pairs: impl Iterator<Item = Result<(&'a [u8], &'a [u8]), E>>,
    ) -> Result<Self, E> {
        let mut fields =
            Self { method: b"", path: b"", authority: b"", scheme: b"", headers: Vec::with_capacity(count) };
        for pair in pairs {
            let (name, value) = pair?;
            match name {
                [b':', ..] if !fields.headers.is_empty() => return Err(MisplacedPseudoHeader.into()),
                b":method" => fields.method = value,
                b":path" => fields.path = value,
                b":authority" => fields.authority = value,
                b":scheme" => fields.scheme = value,
                [b':', ..] => {}
                _ => fields.headers.push(Header { name, value }),
            }
        }
        Ok(fields)
    }

    /// Returns the head. `peer` asks the host for the address of the connection's other end, and `certificate` for a part of its
    /// certificate.
    pub fn head<'h>(
        &'h self,
        peer: fn() -> Option<IpAddr>,
        certificate: &'h AskCertificate<'h>,
    ) -> RequestHead<'h> {
        let Self { method, path, authority, scheme, headers } = self;
        RequestHead { method, path, authority, scheme, headers, peer, certificate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = Result<(&'static [u8], &'static [u8]), MisplacedPseudoHeader>;

    #[test]
    fn pseudo_headers_are_told_from_headers_and_none_may_follow_one() {
        let method: Pair = Ok((b":method", b"GET"));
        let path: Pair = Ok((b":path", b"/v1"));
        let other: Pair = Ok((b":scheme", b"http"));
        let header: Pair = Ok((b"accept", b"*/*"));
        let fields = HeadFields::read(4, [method, path, other, header].into_iter()).ok().unwrap();
        let head = fields.head(|| None, &|_| None);
        assert_eq!(
            (head.method, head.path, head.authority, head.scheme, head.headers.len()),
            (&b"GET"[..], &b"/v1"[..], &b""[..], &b"http"[..], 1)
        );
        assert!(HeadFields::read(3, [method, header, path].into_iter()).is_err());
        assert!(HeadFields::read(2, [method, header, other].into_iter()).is_err());
    }
}
