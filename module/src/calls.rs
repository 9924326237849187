//! Envoy's calls for the effective stream, as functions that return errors.

use std::net::{IpAddr, SocketAddr};
use std::ptr::{null, null_mut};

use keyswap_core::request::CertificatePart;
use keyswap_streams::{Body, HostError, Lines, Malformed, Map};

use crate::abi::{self, Bytes, Line, attribute, kept, received};
use crate::after::effective;

/// The lines of a header map, copied: what Envoy shows is gone once a header is changed.
pub(crate) struct Head {
    bytes: Vec<u8>,
    /// The lengths of each name and value.
    lengths: Vec<(usize, usize)>,
}

impl Lines for Head {
    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn size(&self) -> usize {
        self.bytes.len()
    }

    fn iter(&self) -> impl Iterator<Item = Result<(&[u8], &[u8]), Malformed>> {
        let mut rest = self.bytes.as_slice();
        let mut take = move |(name, value): &(usize, usize)| {
            let (name, after) = rest.split_at_checked(*name)?;
            let (value, after) = after.split_at_checked(*value)?;
            rest = after;
            Some((name, value))
        };
        self.lengths.iter().map(move |lengths| take(lengths).ok_or(Malformed))
    }
}

/// Returns the number of lines of a header map.
pub(crate) fn count(map: Map) -> usize {
    // SAFETY: the stream is the one that the hook is for.
    unsafe { abi::envoy_dynamic_module_callback_http_get_headers_size(effective(), number(map)) }
}

/// Reads a header map of `count` lines. Other filters may have changed it since it was announced.
pub(crate) fn lines(map: Map, count: usize) -> Result<Head, HostError> {
    if self::count(map) != count {
        return Err(HostError::Malformed);
    }
    let mut lines = vec![Line::of(b"", b""); count];
    // SAFETY: the stream is the one that the hook is for, which has as many lines as there is room for.
    let is_read = unsafe {
        abi::envoy_dynamic_module_callback_http_get_headers(effective(), number(map), lines.as_mut_ptr())
    };
    if !is_read && count > 0 {
        return Err(HostError::Malformed);
    }
    let size = lines.iter().map(|line| line.name_size.saturating_add(line.value_size)).sum();
    let mut head = Head { bytes: Vec::with_capacity(size), lengths: Vec::with_capacity(count) };
    for line in &lines {
        // SAFETY: Envoy wrote the lines just now.
        let (name, value) = unsafe { line.get() };
        head.bytes.extend_from_slice(name);
        head.bytes.extend_from_slice(value);
        head.lengths.push((name.len(), value.len()));
    }
    Ok(head)
}

/// Returns the first value of a header.
pub(crate) fn get(map: Map, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = Bytes::NONE;
    // SAFETY: the stream is the one that the hook is for, and the rest is valid for the call.
    let is_there = unsafe {
        abi::envoy_dynamic_module_callback_http_get_header(
            effective(),
            number(map),
            Bytes::of(name),
            &raw mut value,
            0,
            null_mut(),
        )
    };
    // SAFETY: Envoy wrote the value just now.
    is_there.then(|| unsafe { value.get() }.to_vec())
}

/// Sets a header, in place of all its lines.
pub(crate) fn set(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the stream is the one that the hook is for, and the rest is valid for the call.
    accept("set_header", unsafe {
        abi::envoy_dynamic_module_callback_http_set_header(
            effective(),
            number(map),
            Bytes::of(name),
            Bytes::of(value),
        )
    })
}

/// Removes all lines of a header. Its absence is no error.
pub(crate) fn remove(map: Map, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: as in `set`. A null value stands for none.
    accept("set_header", unsafe {
        abi::envoy_dynamic_module_callback_http_set_header(
            effective(),
            number(map),
            Bytes::of(name),
            Bytes { data: null(), size: 0 },
        )
    })
}

/// Adds a line of a header to those that are there.
pub(crate) fn add(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: as in `set`.
    accept("add_header", unsafe {
        abi::envoy_dynamic_module_callback_http_add_header(
            effective(),
            number(map),
            Bytes::of(name),
            Bytes::of(value),
        )
    })
}

/// Returns the size of the part of a body that is on its way now.
pub(crate) fn size(body: Body) -> usize {
    // SAFETY: the stream is the one that the hook is for.
    unsafe { abi::envoy_dynamic_module_callback_http_get_body_size(effective(), on_its_way(body)) }
}

/// Returns the part of a body that is on its way now.
pub(crate) fn slice(body: Body, size: usize) -> Result<Vec<u8>, HostError> {
    read(on_its_way(body), size)
}

/// Returns all of a request's body that Envoy keeps.
pub(crate) fn kept() -> Result<Vec<u8>, HostError> {
    // SAFETY: the stream is the one that the hook is for.
    let size = unsafe { abi::envoy_dynamic_module_callback_http_get_body_size(effective(), kept::REQUEST) };
    if size == 0 { Ok(Vec::new()) } else { read(kept::REQUEST, size) }
}

fn read(body: u32, size: usize) -> Result<Vec<u8>, HostError> {
    let filter = effective();
    // SAFETY: the stream is the one that the hook is for.
    let count = unsafe { abi::envoy_dynamic_module_callback_http_get_body_chunks_size(filter, body) };
    let mut chunks = vec![Bytes::NONE; count];
    // SAFETY: as above, and there is room for all chunks.
    let is_there = count == 0
        || unsafe {
            abi::envoy_dynamic_module_callback_http_get_body_chunks(filter, body, chunks.as_mut_ptr())
        };
    let mut bytes = Vec::with_capacity(size);
    for chunk in chunks {
        // SAFETY: Envoy wrote the chunks just now.
        bytes.extend_from_slice(unsafe { chunk.get() });
    }
    if is_there && bytes.len() == size { Ok(bytes) } else { Err(HostError::Malformed) }
}

/// Puts other bytes in place of the part of a body that is on its way now.
pub(crate) fn replace(body: Body, bytes: &[u8]) -> Result<(), HostError> {
    let body = on_its_way(body);
    accept("drain_body", drain(body))?;
    append(body, bytes)
}

/// Puts other bytes in place of all of a body that Envoy keeps, or that is on its way now.
pub(crate) fn replace_all(body: Body, bytes: &[u8]) -> Result<(), HostError> {
    let kept = match body {
        Body::Request => kept::REQUEST,
        Body::Response => kept::RESPONSE,
    };
    let is_kept = drain(kept);
    // Nothing is on its way in a hook that wakes a stream.
    let place = if drain(on_its_way(body)) { on_its_way(body) } else { kept };
    accept("drain_body", is_kept || place != kept)?;
    append(place, bytes)
}

fn drain(body: u32) -> bool {
    // SAFETY: the stream is the one that the hook is for.
    unsafe { abi::envoy_dynamic_module_callback_http_drain_body(effective(), body, usize::MAX) }
}

fn append(body: u32, bytes: &[u8]) -> Result<(), HostError> {
    if bytes.is_empty() {
        return Ok(());
    }
    // SAFETY: the stream is the one that the hook is for, and the bytes are valid for the call.
    accept("append_body", unsafe {
        abi::envoy_dynamic_module_callback_http_append_body(effective(), body, Bytes::of(bytes))
    })
}

/// Returns the address of the connection's other end, where it has one.
pub(crate) fn peer() -> Option<IpAddr> {
    let address: SocketAddr = str::from_utf8(attribute(attribute::SOURCE_ADDRESS)?).ok()?.parse().ok()?;
    Some(address.ip())
}

/// The filter state in which Envoy's configuration tells whether the listener verified the client certificate: the ABI does not.
const IS_VERIFIED: &[u8] = b"keyswap.certificate_is_verified";

/// Returns a part of the client certificate of the connection. One of which nothing is told counts as not verified.
pub(crate) fn certificate(part: CertificatePart) -> Option<Vec<u8>> {
    let number = match part {
        CertificatePart::Sha256 => attribute::SHA256_PEER_CERTIFICATE,
        CertificatePart::Uri => attribute::URI_SAN_PEER_CERTIFICATE,
        CertificatePart::DnsName => attribute::DNS_SAN_PEER_CERTIFICATE,
        CertificatePart::IsVerified => {
            let is_verified = filter_state(IS_VERIFIED).is_some_and(|told| told == b"true");
            return Some(if is_verified { b"true".to_vec() } else { b"false".to_vec() });
        }
    };
    attribute(number).map(<[u8]>::to_vec)
}

/// Returns whether the answer of this stream is its upstream's, and not one of Envoy's own or of another filter.
pub(crate) fn is_answered_by_upstream() -> bool {
    // An upstream that does not open a WebSocket has details of its own.
    attribute(attribute::RESPONSE_CODE_DETAILS)
        .is_some_and(|details| matches!(details, b"via_upstream" | b"websocket_handshake_unsuccessful"))
}

fn attribute<'a>(attribute: u32) -> Option<&'a [u8]> {
    let mut value = Bytes::NONE;
    // SAFETY: the stream is the one that the hook is for, and the pointer is valid for the call.
    let is_there = unsafe {
        abi::envoy_dynamic_module_callback_http_filter_get_attribute_string(
            effective(),
            attribute,
            &raw mut value,
        )
    };
    // SAFETY: Envoy wrote the value just now, and no caller keeps it.
    is_there.then(|| unsafe { value.get() })
}

/// Returns a value that another filter has set. No header sets one.
fn filter_state<'a>(name: &[u8]) -> Option<&'a [u8]> {
    let mut value = Bytes::NONE;
    // SAFETY: the stream is the one that the hook is for, and the bytes and the pointer are valid for the call.
    let is_there = unsafe {
        abi::envoy_dynamic_module_callback_http_get_filter_state_bytes(
            effective(),
            Bytes::of(name),
            &raw mut value,
        )
    };
    // SAFETY: Envoy wrote the value just now, and no caller keeps it.
    is_there.then(|| unsafe { value.get() })
}

/// Sets `wasm.<name>` in the filter state: access logs read one name, whichever Keyswap wrote it.
pub(crate) fn tell(name: &str, value: &[u8]) {
    if effective().is_null() {
        return;
    }
    let name = ["wasm.", name].concat();
    // SAFETY: the stream is the one that the hook is for, and the bytes are valid for the call.
    let _ = unsafe {
        abi::envoy_dynamic_module_callback_http_set_filter_state_bytes(
            effective(),
            Bytes::of(name.as_bytes()),
            Bytes::of(value),
        )
    };
}

/// Makes Envoy choose the route again.
pub(crate) fn clear_route_cache() {
    // SAFETY: the stream is the one that the hook is for.
    unsafe { abi::envoy_dynamic_module_callback_http_clear_route_cache(effective()) };
}

/// Writes a line to Envoy's log.
pub(crate) fn log(level: u32, line: &str) {
    // SAFETY: the bytes are valid for the call.
    unsafe { abi::envoy_dynamic_module_callback_log(level, Bytes::of(line.as_bytes())) };
}

/// Returns whether Envoy's log takes lines of this level.
pub(crate) fn is_logged(level: u32) -> bool {
    // SAFETY: a plain number.
    unsafe { abi::envoy_dynamic_module_callback_log_enabled(level) }
}

fn accept(call: &'static str, is_done: bool) -> Result<(), HostError> {
    if is_done { Ok(()) } else { Err(HostError::Status(call, 1)) }
}

const fn number(map: Map) -> u32 {
    match map {
        Map::RequestHeaders => 0,
        Map::RequestTrailers => 1,
        Map::ResponseHeaders => 2,
        Map::ResponseTrailers => 3,
    }
}

const fn on_its_way(body: Body) -> u32 {
    match body {
        Body::Request => received::REQUEST,
        Body::Response => received::RESPONSE,
    }
}
