//! The ABI of Envoy's dynamic modules, version 0.2.0 (Envoy 1.40), as far as it is used here.
//!
//! The calls are looked up when the module is loaded, and the linker knows nothing of them: the loader would refuse a library with
//! a name that an older Envoy lacks, and tell that one name only. A call costs as much as one by the loader's own table.
//!
//! Pointers to memory of Envoy are good until the hook returns that they were handed to or asked for in, and until a header
//! or a body is changed.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

/// The version of the ABI, as Envoy compares it.
pub(crate) const VERSION: &CStr = c"v0.2.0";

/// A pointer to something of Envoy's that it hands over and takes back.
pub(crate) type Envoy = *mut c_void;

/// Bytes of either side.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) data: *const u8,
    pub(crate) size: usize,
}

/// A header line of either side.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Line {
    pub(crate) name: *const u8,
    pub(crate) name_size: usize,
    pub(crate) value: *const u8,
    pub(crate) value_size: usize,
}

/// The states of a stream after a hook for a head.
pub(crate) mod head {
    pub(crate) const CONTINUE: u32 = 0;
    /// The head of a request waits, and the hooks for its body are called. They do not run within the leave to go on: Envoy
    /// would ignore a second one.
    pub(crate) const WAIT: u32 = 1;
    /// Nothing of an answer goes on.
    pub(crate) const STOP: u32 = 4;
}

/// The states of a stream after a hook for a slice of a body.
pub(crate) mod slice {
    pub(crate) const CONTINUE: u32 = 0;
    /// The slice is kept by Envoy, and the sender is slowed down where a buffer is full.
    pub(crate) const STOP: u32 = 2;
}

/// The states of a stream after a hook for trailers.
pub(crate) mod trailers {
    pub(crate) const CONTINUE: u32 = 0;
    pub(crate) const STOP: u32 = 1;
}

/// The attributes of a stream.
pub(crate) mod attribute {
    pub(crate) const RESPONSE_CODE_DETAILS: u32 = 16;
    pub(crate) const SOURCE_ADDRESS: u32 = 24;
    pub(crate) const DNS_SAN_PEER_CERTIFICATE: u32 = 35;
    pub(crate) const URI_SAN_PEER_CERTIFICATE: u32 = 37;
    pub(crate) const SHA256_PEER_CERTIFICATE: u32 = 38;
}

/// The bodies that are on their way now.
pub(crate) mod received {
    pub(crate) const REQUEST: u32 = 0;
    pub(crate) const RESPONSE: u32 = 2;
}

/// The bodies that Envoy keeps.
pub(crate) mod kept {
    pub(crate) const REQUEST: u32 = 1;
    pub(crate) const RESPONSE: u32 = 3;
}

/// The result of a call that worked.
pub(crate) const SUCCESS: u32 = 0;

macro_rules! callbacks {
    ($(fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        /// The addresses of the calls; null until [`find`] has found them.
        mod address {
            use super::*;

            $(#[expect(non_upper_case_globals, reason = "each has the name of its call")]
            pub(super) static $name: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());)*
        }

        $(
            #[inline]
            pub(crate) unsafe fn $name($($argument: $kind),*) $(-> $result)? {
                type Call = unsafe extern "C" fn($($kind),*) $(-> $result)?;
                let address = address::$name.load(Ordering::Relaxed);
                // SAFETY: an address is null, or that of the function with this name, whose type is the ABI's.
                let call = unsafe { std::mem::transmute::<*mut c_void, Option<Call>>(address) };
                #[cfg(test)]
                let call = call.or(Some(fake::$name as Call));
                match call {
                    // SAFETY: the caller's.
                    Some(call) => unsafe { call($($argument),*) },
                    // Envoy was told that this module cannot be loaded, and calls no hook.
                    None => std::process::abort(),
                }
            }
        )*

        /// An Envoy for unit tests: it notes each call, and answers zero.
        #[cfg(test)]
        pub(crate) mod fake {
            use super::*;

            thread_local! {
                static CALLS: std::cell::RefCell<Vec<&'static str>> = const { std::cell::RefCell::new(Vec::new()) };
            }

            /// Returns the calls of this thread since the last time.
            pub(crate) fn calls() -> Vec<&'static str> {
                CALLS.take()
            }

            $(pub(super) unsafe extern "C" fn $name($(_: $kind),*) $(-> $result)? {
                CALLS.with_borrow_mut(|calls| calls.push(stringify!($name)));
                // SAFETY: numbers, truth values and pointers may be zero.
                $(unsafe { std::mem::zeroed::<$result>() })?
            })*
        }

        /// The names of all calls, each with a NUL behind it, and the places of their addresses.
        static CALLS: &[(&str, &AtomicPtr<c_void>)] =
            &[$((concat!(stringify!($name), "\0"), &address::$name)),*];
    };
}

callbacks! {
    fn envoy_dynamic_module_callback_log(level: u32, message: Bytes);
    fn envoy_dynamic_module_callback_log_enabled(level: u32) -> bool;
    fn envoy_dynamic_module_callback_get_concurrency() -> u32;
    fn envoy_dynamic_module_callback_is_validation_mode() -> bool;

    fn envoy_dynamic_module_callback_http_filter_config_define_counter(
        config: Envoy, name: Bytes, labels: *mut Bytes, labels_size: usize, id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
        config: Envoy, id: usize, values: *mut Bytes, values_size: usize, by: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_increment_counter(
        filter: Envoy, id: usize, values: *mut Bytes, values_size: usize, by: u64,
    ) -> u32;

    fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
        config: Envoy, name: Bytes, labels: *mut Bytes, labels_size: usize, id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_config_set_gauge(
        config: Envoy, id: usize, values: *mut Bytes, values_size: usize, value: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_set_gauge(
        filter: Envoy, id: usize, values: *mut Bytes, values_size: usize, value: u64,
    ) -> u32;

    fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(config: Envoy) -> Envoy;
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(scheduler: Envoy, event: u64);
    fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(scheduler: Envoy);
    fn envoy_dynamic_module_callback_http_filter_scheduler_new(filter: Envoy) -> Envoy;
    fn envoy_dynamic_module_callback_http_filter_scheduler_commit(scheduler: Envoy, event: u64);
    fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: Envoy);

    fn envoy_dynamic_module_callback_http_filter_config_http_callout(
        config: Envoy, id: *mut u64, cluster: Bytes, lines: *mut Line, lines_size: usize, body: Bytes,
        timeout_milliseconds: u64,
    ) -> u32;

    fn envoy_dynamic_module_callback_http_get_header(
        filter: Envoy, map: u32, name: Bytes, value: *mut Bytes, index: usize, count: *mut usize,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_headers_size(filter: Envoy, map: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_headers(filter: Envoy, map: u32, lines: *mut Line) -> bool;
    fn envoy_dynamic_module_callback_http_add_header(filter: Envoy, map: u32, name: Bytes, value: Bytes) -> bool;
    fn envoy_dynamic_module_callback_http_set_header(filter: Envoy, map: u32, name: Bytes, value: Bytes) -> bool;

    fn envoy_dynamic_module_callback_http_get_body_size(filter: Envoy, body: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks_size(filter: Envoy, body: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks(filter: Envoy, body: u32, chunks: *mut Bytes) -> bool;
    fn envoy_dynamic_module_callback_http_drain_body(filter: Envoy, body: u32, size: usize) -> bool;
    fn envoy_dynamic_module_callback_http_append_body(filter: Envoy, body: u32, bytes: Bytes) -> bool;

    fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
        filter: Envoy, attribute: u32, value: *mut Bytes,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_filter_get_worker_index(filter: Envoy) -> u32;
    fn envoy_dynamic_module_callback_http_get_filter_state_bytes(filter: Envoy, key: Bytes, value: *mut Bytes) -> bool;
    fn envoy_dynamic_module_callback_http_set_filter_state_bytes(filter: Envoy, key: Bytes, value: Bytes) -> bool;
    fn envoy_dynamic_module_callback_http_clear_route_cache(filter: Envoy);

    fn envoy_dynamic_module_callback_http_send_response(
        filter: Envoy, status: u32, lines: *mut Line, lines_size: usize, body: Bytes, details: Bytes,
    );
    fn envoy_dynamic_module_callback_http_filter_reset_stream(filter: Envoy, reason: u32, details: Bytes);
    fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: Envoy);
    fn envoy_dynamic_module_callback_http_filter_continue_encoding(filter: Envoy);
}

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn write(file: c_int, bytes: *const c_void, size: usize) -> isize;
}

/// Finds the calls, and returns the names of those that this Envoy lacks. Calling one of them would end the process.
pub(crate) fn find() -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (name, place) in CALLS {
        // SAFETY: the name ends in NUL, and a null handle stands for all that the process has loaded.
        let address = unsafe { dlsym(std::ptr::null_mut(), name.as_ptr().cast()) };
        place.store(address, Ordering::Relaxed);
        if address.is_null() {
            missing.push(name.trim_end_matches('\0'));
        }
    }
    missing
}

/// Writes a line to standard error, for an Envoy whose log cannot be used.
pub(crate) fn complain(line: &str) {
    const STANDARD_ERROR: c_int = 2;
    let line = format!("{line}\n");
    // SAFETY: the bytes are valid for the call.
    let _ = unsafe { write(STANDARD_ERROR, line.as_ptr().cast(), line.len()) };
}

impl Bytes {
    /// No bytes.
    pub(crate) const NONE: Self = Self { data: std::ptr::null(), size: 0 };

    /// Shows bytes to Envoy, for the time of a call.
    pub(crate) const fn of(bytes: &[u8]) -> Self {
        Self { data: bytes.as_ptr(), size: bytes.len() }
    }

    /// Returns the bytes.
    ///
    /// # Safety
    /// Envoy handed them over, and they are still good.
    pub(crate) const unsafe fn get<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's.
        unsafe { slice_of(self.data, self.size) }
    }
}

impl Line {
    /// Shows a line to Envoy, for the time of a call.
    pub(crate) const fn of(name: &[u8], value: &[u8]) -> Self {
        Self { name: name.as_ptr(), name_size: name.len(), value: value.as_ptr(), value_size: value.len() }
    }

    /// Returns the name and the value.
    ///
    /// # Safety
    /// Envoy handed them over, and they are still good.
    pub(crate) const unsafe fn get<'a>(self) -> (&'a [u8], &'a [u8]) {
        // SAFETY: the caller's.
        unsafe { (slice_of(self.name, self.name_size), slice_of(self.value, self.value_size)) }
    }
}

/// Returns a slice, which is empty where the pointer is null.
///
/// # Safety
/// `data` is null, or has `size` bytes.
pub(crate) const unsafe fn slice_of<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if data.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: the caller's.
    unsafe { std::slice::from_raw_parts(data, size) }
}
