//! Envoy's host calls, as functions that return errors.
//!
//! The wrappers of the Rust SDK panic on a status that they do not expect and on bytes that are not UTF-8. A caller can cause
//! both, and a panic traps the VM for every stream of the worker. So the calls are made here, on bytes only. Of the rest of the
//! filter only `hooks.rs` has `unsafe` code.

#![allow(unsafe_code, reason = "the host's ABI is made of pointers")]

mod abi;
mod logger;

use std::net::{IpAddr, SocketAddr};
use std::ptr::{null, null_mut, slice_from_raw_parts_mut};

use keyswap_core::answer::LocalReply;
use keyswap_core::base::Moment;
use keyswap_core::request::CertificatePart;
use keyswap_core::services::FetchRequest;
use keyswap_streams::{Body, HostError, Map};

pub(crate) use self::logger::install as install_logger;

use crate::header_map::{self, HeaderMap};

/// The status of a call for something that is not there.
pub(crate) const NOT_FOUND: u32 = 1;

fn accept(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError::Status(call, status)) }
}

/// Makes a call that hands over memory, which the host has filled.
fn receive(
    call: &'static str,
    fill: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    accept(call, fill(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host wrote `size` bytes to memory that `proxy_on_memory_allocate` gave it, which makes it as a boxed slice of
    // that size and forgets it. Nothing else owns it.
    Ok(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}

/// The header map of the answer to a call.
const CALL_RESPONSE_HEADERS: u32 = 6;

const fn number(map: Map) -> u32 {
    match map {
        Map::RequestHeaders => 0,
        Map::RequestTrailers => 1,
        Map::ResponseHeaders => 2,
        Map::ResponseTrailers => 3,
    }
}

/// Reads a header map of `count` pairs, as the host announced it.
pub(crate) fn header_map(map: Map, count: usize) -> Result<HeaderMap, HostError> {
    // SAFETY: the pointers are valid for the call.
    let bytes = receive("get_header_map_pairs", |data, size| unsafe {
        abi::proxy_get_header_map_pairs(number(map), data, size)
    })?;
    Ok(HeaderMap::parse(bytes, count)?)
}

/// Sets a header, in place of all its lines.
pub(crate) fn set(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slices are valid for the call.
    let status = unsafe {
        abi::proxy_replace_header_map_value(
            number(map),
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    accept("replace_header_map_value", status)
}

/// Removes all lines of a header.
pub(crate) fn remove(map: Map, name: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slice is valid for the call.
    let status = unsafe { abi::proxy_remove_header_map_value(number(map), name.as_ptr(), name.len()) };
    accept("remove_header_map_value", status)
}

/// Adds a line of a header to those that are there.
pub(crate) fn add(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slices are valid for the call.
    let status = unsafe {
        abi::proxy_add_header_map_value(number(map), name.as_ptr(), name.len(), value.as_ptr(), value.len())
    };
    accept("add_header_map_value", status)
}

/// Returns the value of a header.
pub(crate) fn get(map: Map, name: &[u8]) -> Result<Vec<u8>, HostError> {
    value(number(map), name)
}

fn value(map: u32, name: &[u8]) -> Result<Vec<u8>, HostError> {
    // SAFETY: the slice and the pointers are valid for the call.
    receive("get_header_map_value", |data, size| unsafe {
        abi::proxy_get_header_map_value(map, name.as_ptr(), name.len(), data, size)
    })
}

/// Returns the plugin's configuration; empty where there is none.
pub(crate) fn plugin_configuration() -> Vec<u8> {
    const PLUGIN_CONFIGURATION: u32 = 7;
    buffer(PLUGIN_CONFIGURATION, usize::MAX).unwrap_or_default()
}

fn buffer(buffer: u32, most: usize) -> Result<Vec<u8>, HostError> {
    // SAFETY: the pointers are valid for the call.
    receive("get_buffer_bytes", |data, size| unsafe {
        abi::proxy_get_buffer_bytes(buffer, 0, most, data, size)
    })
}

const fn buffer_of(body: Body) -> u32 {
    match body {
        Body::Request => 0,
        Body::Response => 1,
    }
}

/// Returns the part of a body that is on its way now, of this size.
pub(crate) fn body(body: Body, size: usize) -> Result<Vec<u8>, HostError> {
    if size == 0 { Ok(Vec::new()) } else { buffer(buffer_of(body), size) }
}

/// Puts other bytes in place of that part.
pub(crate) fn set_body(body: Body, bytes: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slice is valid for the call.
    let status =
        unsafe { abi::proxy_set_buffer_bytes(buffer_of(body), 0, usize::MAX, bytes.as_ptr(), bytes.len()) };
    accept("set_buffer_bytes", status)
}

/// Returns the time of day.
pub(crate) fn now() -> Result<Moment, HostError> {
    let mut nanoseconds = 0;
    // SAFETY: the pointer is valid for the call.
    accept("get_current_time_nanoseconds", unsafe {
        abi::proxy_get_current_time_nanoseconds(&raw mut nanoseconds)
    })?;
    Ok(Moment(nanoseconds))
}

/// Makes a call, and returns its number, which the answer has, too.
///
/// The answer comes to the context that is active now. So only the root context makes calls: it outlives every stream.
pub(crate) fn dispatch(request: &FetchRequest) -> Result<u32, HostError> {
    let headers =
        header_map::serialize(request.headers.iter().map(|(name, value)| (&**name, value.as_str())));
    let body = request.body.as_ref().map(|body| body.as_slice()).unwrap_or_default();
    let trailers = header_map::serialize([].into_iter());
    let mut number = 0;
    // SAFETY: the slices and the pointer are valid for the call.
    let status = unsafe {
        abi::proxy_http_call(
            request.cluster.as_ptr(),
            request.cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX),
            &raw mut number,
        )
    };
    accept("http_call", status).map(|()| number)
}

/// Returns the answer to a call; `None` where none came.
pub(crate) fn call_response(headers: usize, body: usize) -> Option<(u16, Vec<u8>)> {
    const CALL_RESPONSE_BODY: u32 = 4;
    if headers == 0 {
        return None;
    }
    let status = String::from_utf8(value(CALL_RESPONSE_HEADERS, b":status").ok()?).ok()?.parse().ok()?;
    let body = if body == 0 { Vec::new() } else { buffer(CALL_RESPONSE_BODY, body).ok()? };
    Some((status, body))
}

/// Makes the calls that follow concern this context.
pub(crate) fn set_effective_context(context: u32) -> Result<(), HostError> {
    // SAFETY: a plain number.
    accept("set_effective_context", unsafe { abi::proxy_set_effective_context(context) })
}

/// The direction of a stream, of which both ends go on or end together.
const REQUEST: u32 = 0;

/// Lets a paused request go on.
pub(crate) fn continue_request() -> Result<(), HostError> {
    // SAFETY: a plain number.
    accept("continue_stream", unsafe { abi::proxy_continue_stream(REQUEST) })
}

/// Lets a paused answer go on.
pub(crate) fn continue_answer() -> Result<(), HostError> {
    const RESPONSE: u32 = 1;
    // SAFETY: a plain number.
    accept("continue_stream", unsafe { abi::proxy_continue_stream(RESPONSE) })
}

/// Resets the stream at both ends, once the VM has returned.
pub(crate) fn reset_stream() -> Result<(), HostError> {
    // SAFETY: a plain number.
    accept("close_stream", unsafe { abi::proxy_close_stream(REQUEST) })
}

/// Sets the period of the root context's ticks, in milliseconds.
pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    // SAFETY: a plain number.
    accept("set_tick_period", unsafe { abi::proxy_set_tick_period_milliseconds(milliseconds) })
}

/// Returns a value of the shared data, and the number of its state for [`set_shared`]; `None` where there is no value.
pub(crate) fn shared(key: &str) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    const CALL: &str = "get_shared_data";
    let mut cas = 0;
    // SAFETY: the slice and the pointers are valid for the call.
    let value = receive(CALL, |data, size| unsafe {
        abi::proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
    });
    match value {
        Ok(value) => Ok(Some((value, cas))),
        Err(HostError::Status(CALL, NOT_FOUND)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets a value of the shared data, if its state still has that number; 0 is any. Returns whether it was set.
pub(crate) fn set_shared(key: &str, value: &[u8], cas: u32) -> Result<bool, HostError> {
    const CAS_MISMATCH: u32 = 8;
    // SAFETY: the slices are valid for the call.
    let status =
        unsafe { abi::proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) };
    if status == CAS_MISMATCH {
        return Ok(false);
    }
    accept("set_shared_data", status).map(|()| true)
}

/// Returns a property of the stream, by its path: names that end in NUL.
fn property(path: &str) -> Result<Vec<u8>, HostError> {
    // SAFETY: the slice and the pointers are valid for the call.
    receive("get_property", |data, size| unsafe {
        abi::proxy_get_property(path.as_ptr(), path.len(), data, size)
    })
}

/// Returns the id of this Envoy's node.
pub(crate) fn node_id() -> String {
    // Older versions of Envoy know the second path only.
    let id = property("xds\0node\0id\0").or_else(|_| property("node\0id\0"));
    id.map(|id| String::from_utf8_lossy(&id).into_owned()).unwrap_or_default()
}

/// Returns the address of the connection's other end, where it has one.
pub(crate) fn peer() -> Option<IpAddr> {
    let address = property("source\0address\0").ok()?;
    let address: SocketAddr = str::from_utf8(&address).ok()?.parse().ok()?;
    Some(address.ip())
}

/// Returns a part of the client certificate of the connection.
pub(crate) fn certificate(part: CertificatePart) -> Option<Vec<u8>> {
    match part {
        CertificatePart::Sha256 => property("connection\0sha256_peer_certificate_digest\0").ok(),
        CertificatePart::Uri => property("connection\0uri_san_peer_certificate\0").ok(),
        CertificatePart::DnsName => property("connection\0dns_san_peer_certificate\0").ok(),
        // A truth value is one byte. Versions of Envoy that lack the property leave it to their listeners.
        CertificatePart::IsVerified => {
            let told = property("connection\0peer_certificate_valid\0").ok()?;
            Some(if told == [1] { b"true".to_vec() } else { b"false".to_vec() })
        }
    }
}

/// Returns whether the answer of this stream is its upstream's, and not one of Envoy's own or of another filter.
pub(crate) fn is_answered_by_upstream() -> bool {
    // An upstream that does not open a WebSocket has details of its own.
    property("response\0code_details\0").is_ok_and(|details| {
        matches!(details.as_slice(), b"via_upstream" | b"websocket_handshake_unsuccessful")
    })
}

/// Sets `wasm.<name>` in the filter state. The filter state serves logs only, so failing is not an error.
pub(crate) fn set_filter_state(name: &str, value: &[u8]) {
    // SAFETY: the slices are valid for the call.
    let _ = unsafe { abi::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// Calls a function of Envoy's that is not in the ABI.
pub(crate) fn call_foreign_function(name: &'static str, arguments: &[u8]) -> Result<Vec<u8>, HostError> {
    // SAFETY: the slices and the pointers are valid for the call.
    receive(name, |data, size| unsafe {
        abi::proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            arguments.as_ptr(),
            arguments.len(),
            data,
            size,
        )
    })
}

/// Answers the stream with a local reply.
pub(crate) fn send_local_reply(reply: &LocalReply) -> Result<(), HostError> {
    const NO_GRPC_STATUS: i32 = -1;
    let headers = header_map::serialize(reply.headers.iter().map(|(name, value)| (*name, &**value)));
    // SAFETY: the slices are valid for the call.
    let status = unsafe {
        abi::proxy_send_local_response(
            u32::from(reply.status),
            null(),
            0,
            reply.body.as_ptr(),
            reply.body.len(),
            headers.as_ptr(),
            headers.len(),
            NO_GRPC_STATUS,
        )
    };
    accept("send_local_response", status)
}

/// A counter of the host.
pub(crate) struct Counter(u32);

impl Counter {
    pub(crate) fn define(name: &str) -> Option<Self> {
        define_metric(0, name).map(Self)
    }

    pub(crate) fn add(&self, count: u64) {
        // SAFETY: plain numbers.
        let _ = unsafe { abi::proxy_increment_metric(self.0, i64::try_from(count).unwrap_or(i64::MAX)) };
    }
}

/// A gauge of the host.
pub(crate) struct Gauge(u32);

impl Gauge {
    pub(crate) fn define(name: &str) -> Option<Self> {
        define_metric(1, name).map(Self)
    }

    pub(crate) fn set(&self, value: u64) {
        // SAFETY: plain numbers.
        let _ = unsafe { abi::proxy_record_metric(self.0, value) };
    }
}

/// Defines a metric: a counter (0) or a gauge (1).
fn define_metric(kind: u32, name: &str) -> Option<u32> {
    let mut id = 0;
    // SAFETY: the slice and the pointer are valid for the call.
    let status = unsafe { abi::proxy_define_metric(kind, name.as_ptr(), name.len(), &raw mut id) };
    (status == 0).then_some(id)
}
