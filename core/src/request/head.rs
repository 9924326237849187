//! The head of a request, borrowed from the host: what the engine judges.

use std::net::IpAddr;

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
    /// Every header line in order, pseudo-headers left out.
    pub headers: &'a [Header<'a>],
    /// Asks the host for the address of the connection's other end; `None` where the host cannot say. Few requests need
    /// that.
    pub peer: fn() -> Option<IpAddr>,
}

impl<'a> RequestHead<'a> {
    /// Returns a head of which neither the authority nor the connection's other end is known.
    pub fn new(method: &'a [u8], path: &'a [u8], headers: &'a [Header<'a>]) -> Self {
        Self { method, path, authority: b"", headers, peer: || None }
    }

    /// Returns all values of the header `name` (lower case), in order.
    #[inline]
    pub(crate) fn values(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |header| header.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|header| header.value)
    }

    /// Returns the value of the header `name` (lower case), where it has one line.
    pub(crate) fn only_value(&self, name: &'static str) -> Option<&'a [u8]> {
        let mut only = None;
        for header in self.headers {
            if header.name.len() == name.len() && header.name.eq_ignore_ascii_case(name.as_bytes()) {
                if only.is_some() {
                    return None;
                }
                only = Some(header.value);
            }
        }
        only
    }

    /// Returns the length of the body, as far as the head says; 0 where it does not.
    pub(crate) fn content_length(&self) -> u64 {
        let length = self.values("content-length").next().and_then(|value| str::from_utf8(value).ok());
        length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
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
        RequestHead { authority: self.authority.as_bytes(), ..head }
    }
}
