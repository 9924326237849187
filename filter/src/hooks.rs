//! The functions that Envoy calls: those of proxy-wasm ABI 0.2.1 that the filter needs. Envoy calls no function that is missing.
//!
//! The Rust SDK is not used: its callbacks cannot return [`HOLD_BODY`], and it panics where a context is not known.

#![allow(unsafe_code, reason = "the host finds functions by their names")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::ptr::null_mut;

use keyswap_streams::{Action, Stream};

use crate::envoy::Envoy;
use crate::host;
use crate::plugin::Plugin;

/// The stream goes on.
const CONTINUE: u32 = 0;
/// Trailers, or the body of an answer, wait. A part of a body that waits is shown again in front of the next one.
const WAIT: u32 = 1;
/// The part of a body that is on its way waits, and is not shown again. With [`WAIT`], Envoy would go on collecting the body after
/// the wait: in front of each part it would show, and send, what has gone upstream already and is kept for retries.
const HOLD_BODY: u32 = 2;
/// Nothing of the stream comes before its head has gone on.
const HOLD_ALL: u32 = 4;

const fn status(action: Action, otherwise: u32) -> u32 {
    match action {
        Action::Continue => CONTINUE,
        Action::Pause => otherwise,
    }
}

/// The contexts of a VM, by their ids.
struct Contexts {
    plugins: BTreeMap<u32, Plugin>,
    streams: BTreeMap<u32, Stream<Envoy>>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> =
        const { RefCell::new(Contexts { plugins: BTreeMap::new(), streams: BTreeMap::new() }) };
}

/// Does some work with the contexts; `None` where there is none of this id. The host calls no function while one runs.
fn with<T>(work: impl FnOnce(&mut Contexts) -> Option<T>) -> Option<T> {
    CONTEXTS.with(|contexts| {
        let Ok(mut contexts) = contexts.try_borrow_mut() else {
            log::error!("a hook was called while another one runs, and does nothing");
            return None;
        };
        work(&mut contexts)
    })
}

/// Runs a hook of a stream. A stream that is not known waits for ever.
fn stream(context: u32, held: u32, hook: impl FnOnce(&mut Stream<Envoy>) -> Action) -> u32 {
    let action = with(|contexts| contexts.streams.get_mut(&context).map(hook));
    status(action.unwrap_or(Action::Pause), held)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the host calls this function once, before all others.
    unsafe { __wasm_call_ctors() };
    host::install_logger();
}

/// Allocates memory that the host fills, and that a call of [`host`] then owns.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    let mut bytes: Vec<MaybeUninit<u8>> = Vec::new();
    if bytes.try_reserve_exact(size).is_err() {
        return null_mut();
    }
    // SAFETY: there is room for `size` bytes, which need no value yet.
    unsafe { bytes.set_len(size) };
    Box::into_raw(bytes.into_boxed_slice()).cast()
}

/// A context without a root is a root.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(context: u32, root: u32) {
    with(|contexts| {
        if root == 0 {
            contexts.plugins.insert(context, Plugin::new(context));
        } else {
            let shared = contexts.plugins.get(&root).and_then(Plugin::shared);
            contexts.streams.insert(context, Stream::new(context, shared));
        }
        Some(())
    });
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_delete(context: u32) {
    let stream = with(|contexts| contexts.streams.remove(&context));
    let plugin = with(|contexts| contexts.plugins.remove(&context));
    drop((stream, plugin));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_configure(context: u32, _size: usize) -> u32 {
    with(|contexts| contexts.plugins.get_mut(&context).map(Plugin::configure)).unwrap_or(false).into()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_tick(context: u32) {
    with(|contexts| contexts.plugins.get(&context).map(Plugin::work));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(
    context: u32,
    number: u32,
    headers: usize,
    body: usize,
    _trailers: usize,
) {
    with(|contexts| contexts.plugins.get(&context).map(|plugin| plugin.answered(number, headers, body)));
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_headers(context: u32, count: usize, is_last: u32) -> u32 {
    stream(context, HOLD_ALL, |stream| stream.request_headers(count, is_last != 0))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(context: u32, size: usize, is_last: u32) -> u32 {
    stream(context, HOLD_BODY, |stream| stream.request_body(size, is_last != 0))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_trailers(context: u32, count: usize) -> u32 {
    stream(context, WAIT, |stream| stream.request_trailers(count))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(context: u32, count: usize, is_last: u32) -> u32 {
    stream(context, HOLD_ALL, |stream| stream.response_headers(count, is_last != 0))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_body(context: u32, size: usize, is_last: u32) -> u32 {
    stream(context, WAIT, |stream| stream.response_body(size, is_last != 0))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_trailers(context: u32, count: usize) -> u32 {
    stream(context, WAIT, |stream| stream.response_trailers(count))
}
