//! The body of a request, where it has one: a request without one must not become one with an empty one.

use keyswap_core::request::RequestHead;
use wasip2::http::types::{IncomingBody, IncomingRequest};
use wasip2::io::streams::{InputStream, StreamError};

/// A body, of which at most the beginning was read.
pub(super) struct Upload {
    pub(super) source: InputStream,
    pub(super) from: IncomingBody,
    /// The bytes that had to be read to see that there is a body.
    pub(super) begun: Vec<u8>,
}

impl Upload {
    /// Returns the body of a request; `None` where it has none.
    pub(super) fn of(request: &IncomingRequest, head: &RequestHead<'_>) -> Option<Self> {
        let value = |name: &str| {
            let mut headers = head.headers.iter();
            headers
                .find(|header| header.name.eq_ignore_ascii_case(name.as_bytes()))
                .map(|header| header.value)
        };
        let length = value("content-length");
        if length == Some(b"0") {
            return None;
        }
        let from = request.consume().ok()?;
        let source = from.stream().ok()?;
        // Most hosts do not show `transfer-encoding`, so where there is no length the stream must tell.
        let is_said = length.is_some() || value("transfer-encoding").is_some();
        let begun = if is_said { Vec::new() } else { begin(&source, head.method)? };
        Some(Self { source, from, begun })
    }
}

/// Reads the beginning of a stream; `None` where there is nothing but an end.
fn begin(source: &InputStream, method: &[u8]) -> Option<Vec<u8>> {
    const SOME: u64 = 4096;
    if let Err(StreamError::Closed) = source.read(0) {
        return None;
    }
    // A method that nearly always has a body is not held up until its first byte comes.
    if matches!(method, b"POST" | b"PUT" | b"PATCH") {
        return Some(Vec::new());
    }
    match source.blocking_read(SOME) {
        Err(StreamError::Closed) => None,
        // A stream that broke off shows again when the rest is read.
        begun => Some(begun.unwrap_or_default()),
    }
}
