//! The functions that Envoy calls. Envoy wants all of them, also those that nothing here causes.
//!
//! Pointers in them are Envoy's, which keeps to its ABI.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;

use keyswap_streams::{Action, Body, Map, Stream};

use crate::abi::{self, Bytes, Envoy, Line, VERSION, head, slice, slice_of, trailers};
use crate::calls;
use crate::configuration::Configuration;
use crate::faults;
use crate::lane::Lane;
use crate::native::Native;

/// A stream as its hooks know it.
struct Filter {
    lane: Arc<Lane>,
    number: u64,
}

/// Runs what must not panic beyond here.
fn barrier<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    faults::caught(work).unwrap_or(otherwise)
}

/// Returns what a pointer of ours points to.
///
/// # Safety
/// Envoy got the pointer from this module, and has not given it back.
unsafe fn own<'a, T>(pointer: *const c_void) -> Option<&'a T> {
    // SAFETY: the caller's.
    unsafe { pointer.cast::<T>().as_ref() }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    barrier(null(), || {
        let missing = abi::find();
        if !missing.is_empty() {
            let version = VERSION.to_string_lossy();
            abi::complain(&format!(
                "keyswap: this Envoy lacks calls of the ABI {version} (Envoy 1.40): {}",
                missing.join(", ")
            ));
            return null();
        }
        crate::logger::install();
        VERSION.as_ptr()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    configuration: Envoy,
    name: Bytes,
    text: Bytes,
) -> *const c_void {
    barrier(null(), || {
        // SAFETY: Envoy shows them for this hook.
        let (name, text) = unsafe { (name.get(), text.get()) };
        let made = Configuration::new(configuration, &String::from_utf8_lossy(name), text);
        made.map_or(null(), |made| Box::into_raw(Box::new(made)).cast_const().cast())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(configuration: *const c_void) {
    // SAFETY: Envoy gives the configuration back.
    barrier((), || drop(unsafe { Box::from_raw(configuration.cast::<Configuration>().cast_mut()) }));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    _envoy: Envoy,
    configuration: *const c_void,
    event: u64,
) {
    barrier((), || {
        // SAFETY: see `own`.
        if let Some(configuration) = unsafe { own::<Configuration>(configuration) } {
            configuration.happened(event);
        }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_http_callout_done(
    _envoy: Envoy,
    configuration: *const c_void,
    number: u64,
    result: u32,
    lines: *const Line,
    lines_size: usize,
    chunks: *const Bytes,
    chunks_size: usize,
) {
    barrier((), || {
        // SAFETY: see `own`. Envoy shows the answer for this hook.
        let (configuration, lines, chunks) = unsafe {
            (own::<Configuration>(configuration), slice_of(lines, lines_size), slice_of(chunks, chunks_size))
        };
        // SAFETY: as above.
        let body: Vec<u8> = chunks.iter().flat_map(|chunk| unsafe { chunk.get() }).copied().collect();
        let status = (result == abi::SUCCESS).then(|| status(lines)).flatten();
        let answer = status.map(|status| (status, body.as_slice()));
        if let Some(configuration) = configuration {
            configuration.answered(number, &answer.into());
        }
    });
}

fn status(lines: &[Line]) -> Option<u16> {
    // SAFETY: Envoy shows the lines for the present hook.
    let (_, status) = lines.iter().map(|line| unsafe { line.get() }).find(|(name, _)| name == b":status")?;
    str::from_utf8(status).ok()?.parse().ok()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    configuration: *const c_void,
    envoy: Envoy,
) -> *const c_void {
    barrier(null(), || {
        // SAFETY: see `own`. The stream is the one that the hook is for.
        let (configuration, worker) = unsafe {
            (
                own::<Configuration>(configuration),
                abi::envoy_dynamic_module_callback_http_filter_get_worker_index(envoy),
            )
        };
        let Some(lane) = configuration.and_then(|configuration| configuration.lane(worker)) else {
            return null();
        };
        let filter = Filter { lane: Arc::clone(lane), number: lane.add(envoy) };
        Box::into_raw(Box::new(filter)).cast_const().cast()
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_destroy(filter: *const c_void) {
    barrier((), || {
        // SAFETY: Envoy gives the stream back.
        let filter = unsafe { Box::from_raw(filter.cast::<Filter>().cast_mut()) };
        filter.lane.remove(filter.number);
    });
}

/// Runs the work of a hook of a request. Nothing of a request goes on that has ended by a fault.
fn request(
    hook: &str,
    envoy: Envoy,
    filter: *const c_void,
    work: impl FnOnce(&mut Stream<Native>) -> Action,
) -> Action {
    enter(hook, envoy, filter, Action::Pause, work)
}

/// Runs the work of a hook of an answer. The answer to a request that has ended by a fault is the refusal.
fn response(
    hook: &str,
    envoy: Envoy,
    filter: *const c_void,
    work: impl FnOnce(&mut Stream<Native>) -> Action,
) -> Action {
    enter(hook, envoy, filter, Action::Continue, work)
}

/// Runs the work of a hook. The stream may be gone when the work is done, and the lane not.
fn enter(
    hook: &str,
    envoy: Envoy,
    filter: *const c_void,
    over: Action,
    work: impl FnOnce(&mut Stream<Native>) -> Action,
) -> Action {
    barrier(Action::Pause, || {
        // SAFETY: see `own`.
        let Some(filter) = (unsafe { own::<Filter>(filter) }) else { return Action::Pause };
        let (lane, number) = (Arc::clone(&filter.lane), filter.number);
        lane.enter((envoy, number), over, |stream| {
            faults::at(hook);
            work(stream)
        })
    })
}

const fn state(action: Action, [goes_on, stops]: [u32; 2]) -> u32 {
    match action {
        Action::Continue => goes_on,
        Action::Pause => stops,
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    envoy: Envoy,
    filter: *const c_void,
    is_last: bool,
) -> u32 {
    let action = request("request_headers", envoy, filter, |stream| {
        stream.request_headers(calls::count(Map::RequestHeaders), is_last)
    });
    state(action, [head::CONTINUE, head::WAIT])
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    envoy: Envoy,
    filter: *const c_void,
    is_last: bool,
) -> u32 {
    let action = request("request_body", envoy, filter, |stream| {
        stream.request_body(calls::size(Body::Request), is_last)
    });
    state(action, [slice::CONTINUE, slice::STOP])
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    envoy: Envoy,
    filter: *const c_void,
) -> u32 {
    let action = request("request_trailers", envoy, filter, |stream| {
        stream.request_trailers(calls::count(Map::RequestTrailers))
    });
    state(action, [trailers::CONTINUE, trailers::STOP])
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    envoy: Envoy,
    filter: *const c_void,
    is_last: bool,
) -> u32 {
    let action = response("response_headers", envoy, filter, |stream| {
        stream.response_headers(calls::count(Map::ResponseHeaders), is_last)
    });
    state(action, [head::CONTINUE, head::STOP])
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    envoy: Envoy,
    filter: *const c_void,
    is_last: bool,
) -> u32 {
    let action = response("response_body", envoy, filter, |stream| {
        stream.response_body(calls::size(Body::Response), is_last)
    });
    state(action, [slice::CONTINUE, slice::STOP])
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(
    envoy: Envoy,
    filter: *const c_void,
) -> u32 {
    let action = response("response_trailers", envoy, filter, |stream| {
        stream.response_trailers(calls::count(Map::ResponseTrailers))
    });
    state(action, [trailers::CONTINUE, trailers::STOP])
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(envoy: Envoy, filter: *const c_void) {
    barrier((), || {
        // SAFETY: see `own`.
        if let Some(filter) = unsafe { own::<Filter>(filter) } {
            filter.lane.complete((envoy, filter.number));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    envoy: Envoy,
    filter: *const c_void,
    _event: u64,
) {
    barrier((), || {
        // SAFETY: see `own`.
        if let Some(filter) = unsafe { own::<Filter>(filter) } {
            let (lane, number) = (Arc::clone(&filter.lane), filter.number);
            lane.wake((envoy, number));
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_local_reply(
    _envoy: Envoy,
    _filter: *const c_void,
    _status: u32,
    _details: Bytes,
    _is_reset: bool,
) -> u32 {
    const CONTINUE: u32 = 0;
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_per_route_config_new(
    _name: Bytes,
    _text: Bytes,
) -> *const c_void {
    log::error!("Keyswap has no configuration for single routes");
    null_mut()
}

/// Exports hooks for events that nothing here causes.
macro_rules! unused {
    ($(fn $name:ident($($kind:ty),*);)*) => {
        $(#[unsafe(no_mangle)]
        extern "C" fn $name($(_: $kind),*) {})*
    };
}

unused! {
    fn envoy_dynamic_module_on_http_filter_per_route_config_destroy(*const c_void);
    fn envoy_dynamic_module_on_http_filter_http_callout_done(
        Envoy, *const c_void, u64, u32, *const Line, usize, *const Bytes, usize
    );
    fn envoy_dynamic_module_on_http_filter_http_stream_headers(
        Envoy, *const c_void, u64, *const Line, usize, bool
    );
    fn envoy_dynamic_module_on_http_filter_http_stream_data(
        Envoy, *const c_void, u64, *const Bytes, usize, bool
    );
    fn envoy_dynamic_module_on_http_filter_http_stream_trailers(
        Envoy, *const c_void, u64, *const Line, usize
    );
    fn envoy_dynamic_module_on_http_filter_http_stream_complete(Envoy, *const c_void, u64);
    fn envoy_dynamic_module_on_http_filter_http_stream_reset(Envoy, *const c_void, u64, u32);
    fn envoy_dynamic_module_on_http_filter_config_http_stream_headers(
        Envoy, *const c_void, u64, *const Line, usize, bool
    );
    fn envoy_dynamic_module_on_http_filter_config_http_stream_data(
        Envoy, *const c_void, u64, *const Bytes, usize, bool
    );
    fn envoy_dynamic_module_on_http_filter_config_http_stream_trailers(
        Envoy, *const c_void, u64, *const Line, usize
    );
    fn envoy_dynamic_module_on_http_filter_config_http_stream_complete(Envoy, *const c_void, u64);
    fn envoy_dynamic_module_on_http_filter_config_http_stream_reset(Envoy, *const c_void, u64, u32);
    fn envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark(Envoy, *const c_void);
    fn envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark(Envoy, *const c_void);
}
