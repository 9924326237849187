//! Envoy's host calls, as functions that return errors.
//!
//! The SDK's own wrappers panic on a status they do not expect and on bytes that are not UTF-8; both can be had from
//! outside, and a panic traps the VM for every stream of the worker. So the calls are made here, on bytes only. This
//! is the one file with `unsafe` in it.

#![allow(unsafe_code, reason = "the host's ABI is made of pointers")]

use std::fmt;
use std::ptr::{null, null_mut, slice_from_raw_parts_mut};

use keyswap_core::{LocalReply, UnixTime};

/// Proxy-Wasm ABI 0.2.1, as far as it is used here. Each returns a status, 0 for success.
mod abi {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub(super) fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
        pub(super) fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
        pub(super) fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            max_size: usize,
            data: *mut *mut u8,
            size: *mut usize,
        ) -> u32;
        pub(super) fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
        pub(super) fn proxy_replace_header_map_value(
            map: u32,
            name: *const u8,
            name_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
        pub(super) fn proxy_set_property(
            path: *const u8,
            path_size: usize,
            value: *const u8,
            value_size: usize,
        ) -> u32;
        pub(super) fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
        pub(super) fn proxy_increment_metric(id: u32, by: i64) -> u32;
        pub(super) fn proxy_send_local_response(
            status: u32,
            details: *const u8,
            details_size: usize,
            body: *const u8,
            body_size: usize,
            headers: *const u8,
            headers_size: usize,
            grpc_status: i32,
        ) -> u32;
        pub(super) fn proxy_call_foreign_function(
            name: *const u8,
            name_size: usize,
            arguments: *const u8,
            arguments_size: usize,
            results: *mut *mut u8,
            results_size: *mut usize,
        ) -> u32;
    }
}

/// Why a host call failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HostError {
    /// The host said no: a status of the ABI.
    Status(&'static str, u32),
    /// The host's answer does not have the form that the ABI gives it.
    Malformed(&'static str),
    /// The stream came before a policy was accepted.
    NoPolicy,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(call, status) => write!(f, "`{call}` answered status {status}"),
            Self::Malformed(call) => write!(f, "the answer of `{call}` is malformed"),
            Self::NoPolicy => f.write_str("there is no policy"),
        }
    }
}

fn accept(call: &'static str, status: u32) -> Result<(), HostError> {
    if status == 0 { Ok(()) } else { Err(HostError::Status(call, status)) }
}

/// Makes a call that hands over memory, which the host had the SDK's allocator allocate for it.
fn receive(
    call: &'static str,
    fill: impl FnOnce(*mut *mut u8, *mut usize) -> u32,
) -> Result<Vec<u8>, HostError> {
    let (mut data, mut size) = (null_mut(), 0);
    accept(call, fill(&raw mut data, &raw mut size))?;
    if data.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: the host wrote `size` bytes to memory that `proxy_on_memory_allocate` gave it, which makes it as a
    // `Vec<u8>` of that capacity and forgets it. Nobody else owns it.
    Ok(unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) }.into_vec())
}

/// The header maps of a stream.
#[derive(Clone, Copy)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
}

/// A whole header map, read in one call.
///
/// The host's form: the number of pairs, the sizes of each name and value, then the names and values, each with a
/// NUL behind it. Numbers are 32 bits, little-endian.
pub(crate) struct HeaderMap {
    bytes: Vec<u8>,
    pairs: usize,
}

impl HeaderMap {
    const CALL: &str = "get_header_map_pairs";

    /// Reads the map, which has `count` pairs as the host said when it announced it. One that cannot be read to its end
    /// might hide a header.
    pub(crate) fn read(map: Map, count: usize) -> Result<Self, HostError> {
        // SAFETY: the pointers are valid for the call.
        let bytes = receive(Self::CALL, |data, size| unsafe {
            abi::proxy_get_header_map_pairs(map as u32, data, size)
        })?;
        let pairs =
            if bytes.is_empty() { 0 } else { number(&bytes, 0).ok_or(HostError::Malformed(Self::CALL))? };
        let map = Self { bytes, pairs };
        if pairs == count && map.iter().count() == pairs {
            Ok(map)
        } else {
            Err(HostError::Malformed(Self::CALL))
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pairs
    }

    /// The pairs, up to the first that lies outside of what the host handed over.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut sizes = 4_usize;
        let mut at = self.pairs.checked_mul(8).and_then(|size| size.checked_add(4));
        (0..self.pairs).map_while(move |_| {
            let name = text(&self.bytes, &mut at, number(&self.bytes, sizes)?)?;
            let value = text(&self.bytes, &mut at, number(&self.bytes, sizes.checked_add(4)?)?)?;
            sizes = sizes.checked_add(8)?;
            Some((name, value))
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

fn text<'a>(bytes: &'a [u8], at: &mut Option<usize>, size: usize) -> Option<&'a [u8]> {
    let start = (*at)?;
    let end = start.checked_add(size)?;
    *at = end.checked_add(1);
    bytes.get(start..end)
}

/// Sets a header, in place of all its lines.
pub(crate) fn set(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    // SAFETY: the slices are valid for the call.
    let status = unsafe {
        abi::proxy_replace_header_map_value(
            map as u32,
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
    let status = unsafe { abi::proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) };
    accept("remove_header_map_value", status)
}

/// The plugin's configuration; empty where there is none.
pub(crate) fn plugin_configuration() -> Vec<u8> {
    const PLUGIN_CONFIGURATION: u32 = 7;
    // SAFETY: the pointers are valid for the call.
    let bytes = receive("get_buffer_bytes", |data, size| unsafe {
        abi::proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size)
    });
    bytes.unwrap_or_default()
}

/// The time of day.
pub(crate) fn now() -> Result<UnixTime, HostError> {
    const CALL: &str = "get_current_time_nanoseconds";
    let mut nanoseconds = 0;
    // SAFETY: the pointer is valid for the call.
    accept(CALL, unsafe { abi::proxy_get_current_time_nanoseconds(&raw mut nanoseconds) })?;
    i64::try_from(nanoseconds / 1_000_000_000).map(UnixTime).map_err(|_| HostError::Malformed(CALL))
}

/// Sets `wasm.<name>` in the filter state. It serves logs only, so failing is not an error.
pub(crate) fn set_filter_state(name: &str, value: &[u8]) {
    // SAFETY: the slices are valid for the call.
    let _ = unsafe { abi::proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) };
}

/// Makes Envoy choose the route again. A request must not go on without: its route was chosen by the client's authority.
pub(crate) fn clear_route_cache() -> Result<(), HostError> {
    const NAME: &str = "clear_route_cache";
    // SAFETY: the pointers are valid for the call.
    let results = receive(NAME, |data, size| unsafe {
        abi::proxy_call_foreign_function(NAME.as_ptr(), NAME.len(), null(), 0, data, size)
    });
    results.map(|_| ())
}

/// Answers the stream from here.
pub(crate) fn send_local_reply(reply: &LocalReply) -> Result<(), HostError> {
    const NO_GRPC_STATUS: i32 = -1;
    let headers = serialize(&reply.headers);
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

/// Header pairs in the host's form, see [`HeaderMap`].
fn serialize(headers: &[(&'static str, &'static str)]) -> Vec<u8> {
    let number = |number: usize| u32::try_from(number).unwrap_or(0).to_le_bytes();
    let mut bytes = number(headers.len()).to_vec();
    for (name, value) in headers {
        bytes.extend(number(name.len()));
        bytes.extend(number(value.len()));
    }
    for text in headers.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
    }
    bytes
}

/// A counter of the host.
pub(crate) struct Counter(u32);

impl Counter {
    pub(crate) fn define(name: &str) -> Option<Self> {
        const COUNTER: u32 = 0;
        let mut id = 0;
        // SAFETY: the slice and the pointer are valid for the call.
        let status = unsafe { abi::proxy_define_metric(COUNTER, name.as_ptr(), name.len(), &raw mut id) };
        (status == 0).then_some(Self(id))
    }

    pub(crate) fn increment(&self) {
        // SAFETY: plain numbers.
        let _ = unsafe { abi::proxy_increment_metric(self.0, 1) };
    }
}

/// Sends the lines of the `log` macros to the host, which filters them by its own level.
pub(crate) fn install_logger() {
    struct Logger;

    impl log::Log for Logger {
        fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            let level = match record.level() {
                log::Level::Trace => 0,
                log::Level::Debug => 1,
                log::Level::Info => 2,
                log::Level::Warn => 3,
                log::Level::Error => 4,
            };
            let line = record.args().to_string();
            // SAFETY: the slice is valid for the call.
            let _ = unsafe { abi::proxy_log(level, line.as_ptr(), line.len()) };
        }

        fn flush(&self) {}
    }

    // A second VM start in one instance would find the logger already there, which is as good.
    if log::set_logger(&Logger).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}
