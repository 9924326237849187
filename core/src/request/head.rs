//! The head of a request, borrowed from the host: what the engine judges.

use std::net::IpAddr;

use super::certificate::{AskCertificate, PeerCertificate};
use crate::syntax::{is_exposed, site};

/// One header line. Names may come in any case; values are bytes, because HTTP allows more than ASCII in them.
#[derive(Clone, Copy)]
pub struct Header<'a> {
    /// The field name, without the colon.
    pub name: &'a [u8],
    /// The field value, as it came.
    pub value: &'a [u8],
}

/// A request head. The type has no `Debug`, because a head holds the caller's credential.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method; empty where the host had none.
    pub method: &'a [u8],
    /// The request target as it came (`:path`); empty where the host had none.
    pub path: &'a [u8],
    /// The authority that the request is for (`:authority` or `host`), as it came; empty where the host cannot say.
    /// Nothing is routed by it.
    pub authority: &'a [u8],
    /// The scheme that the request came with (`:scheme`); empty where the host cannot say.
    pub scheme: &'a [u8],
    /// Every header line in order, pseudo-headers left out.
    pub headers: &'a [Header<'a>],
    /// Asks the host for the address of the connection's other end; `None` where the host cannot say. Few requests need
    /// that.
    pub peer: fn() -> Option<IpAddr>,
    /// Asks the host for a part of the client certificate of the connection. Few policies need that.
    pub certificate: &'a AskCertificate<'a>,
}

impl<'a> RequestHead<'a> {
    /// Returns a head of which neither the authority nor anything of the connection is known.
    pub fn new(method: &'a [u8], path: &'a [u8], headers: &'a [Header<'a>]) -> Self {
        Self { method, path, authority: b"", scheme: b"", headers, peer: || None, certificate: &|_| None }
    }

    /// Returns the client certificate of the connection.
    pub(crate) fn peer_certificate(&self) -> PeerCertificate<'a> {
        PeerCertificate(self.certificate)
    }

    /// Returns all values of the header `name` (lower case), in order.
    #[inline]
    pub(crate) fn values(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|header| header.value)
    }

    /// Returns the authority, or the one line `host` where the host of the engine shows no authority.
    pub(crate) fn named_host(&self) -> &'a [u8] {
        if !self.authority.is_empty() {
            return self.authority;
        }
        let mut lines = self.values("host");
        lines.next().filter(|_| lines.next().is_none()).unwrap_or_default()
    }

    /// Returns the length of the body, as far as the head says; 0 where it does not.
    pub(crate) fn content_length(&self) -> u64 {
        let length = self.values("content-length").next().and_then(|value| str::from_utf8(value).ok());
        length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
    }

    /// Returns the URL that the caller asked for, without its query; `None` where the host does not know the authority.
    ///
    /// A proxy in front says with `x-forwarded-proto` how the caller reached it. Where nothing tells the scheme, only this
    /// machine is reached without TLS.
    pub(crate) fn address(&self) -> Option<String> {
        let authority = Some(self.authority).filter(|authority| !authority.is_empty());
        let authority = str::from_utf8(authority.or_else(|| self.values("host").next())?).ok()?;
        let is_plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        };
        if authority.is_empty() || !authority.bytes().all(is_plain) {
            return None;
        }
        let forwarded =
            self.values("x-forwarded-proto").next().and_then(|it| it.split(|byte| *byte == b',').next());
        let host =
            authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |it| it.0);
        let https = match forwarded.unwrap_or(self.scheme).trim_ascii() {
            it if it.eq_ignore_ascii_case(b"https") => true,
            it if it.eq_ignore_ascii_case(b"http") => false,
            _ => is_exposed(false, host),
        };
        let path = self.path.split(|byte| *byte == b'?').next().unwrap_or_default();
        Some(site(https, authority) + str::from_utf8(path).ok()?)
    }

    /// Returns whether the request is for a WebSocket (RFC 6455 section 4.1). Envoy shows an HTTP/2 extended CONNECT
    /// (RFC 8441) in the same form.
    pub(crate) fn is_websocket_upgrade(&self) -> bool {
        self.values("upgrade").any(|value| value.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    }
}

/// A request head that is kept, as text where HTTP has text.
#[derive(Clone, Default)]
pub struct OwnedHead {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The authority; empty where the host cannot say.
    pub authority: String,
    /// The scheme; empty where the host cannot say.
    pub scheme: String,
    /// Every header line in order.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl OwnedHead {
    /// Returns the header lines, for [`OwnedHead::with`].
    pub fn lines(&self) -> Vec<Header<'_>> {
        self.fields.iter().map(|(name, value)| Header { name: name.as_bytes(), value }).collect()
    }

    /// Returns the bytes of the head.
    pub fn size(&self) -> usize {
        let fields = self.fields.iter().map(|(name, value)| name.len().saturating_add(value.len()));
        let line = [self.method.len(), self.target.len(), self.authority.len()];
        fields.chain(line).fold(0, usize::saturating_add)
    }

    /// Returns the head with its lines, as the engine judges it.
    pub fn with<'a>(&'a self, lines: &'a [Header<'a>]) -> RequestHead<'a> {
        let head = RequestHead::new(self.method.as_bytes(), self.target.as_bytes(), lines);
        RequestHead { authority: self.authority.as_bytes(), scheme: self.scheme.as_bytes(), ..head }
    }
}
