//! The work on a stream that comes after the hook's own: it may call other hooks, which need the lock that the work holds.

use std::cell::{Cell, RefCell};
use std::ptr::null_mut;

use keyswap_core::answer::{LocalReply, ResponseHeader};

use crate::abi::{self, Bytes, Envoy, Line};

/// The one thing that is done to a stream.
pub(crate) enum After {
    /// It ends with a reply.
    Reply(LocalReply),
    /// It is reset at both ends.
    Reset,
    /// Its request goes on.
    Proceed,
    /// Its answer goes on.
    ProceedAnswer,
}

thread_local! {
    /// The stream that the hook of this thread is for; null in a hook that is for none.
    static EFFECTIVE: Cell<Envoy> = const { Cell::new(null_mut()) };
    static AFTER: RefCell<Option<After>> = const { RefCell::new(None) };
}

/// Returns the stream that the present hook is for.
pub(crate) fn effective() -> Envoy {
    EFFECTIVE.get()
}

/// Notes what is done after the present hook. The first note counts: a stream ends once.
pub(crate) fn note(after: After) {
    AFTER.with_borrow_mut(|place| {
        place.get_or_insert(after);
    });
}

/// Runs the work of a hook with this stream as the effective one, and then does what was noted.
pub(crate) fn with<T>(filter: Envoy, work: impl FnOnce() -> T) -> T {
    let outer = EFFECTIVE.replace(filter);
    let result = work();
    EFFECTIVE.set(outer);
    if let Some(after) = AFTER.take() {
        perform(filter, &after);
    }
    result
}

fn perform(filter: Envoy, after: &After) {
    const LOCAL_RESET: u32 = 0;
    const DETAILS: Bytes = Bytes::of(b"keyswap");
    match after {
        After::Reply(reply) => {
            let line = |(name, value): &ResponseHeader| Line::of(name.as_bytes(), value.as_bytes());
            let mut lines: Vec<Line> = reply.headers.iter().map(line).collect();
            // SAFETY: Envoy calls no hook of a stream that is gone, and what is shown is valid for the call.
            unsafe {
                abi::envoy_dynamic_module_callback_http_send_response(
                    filter,
                    u32::from(reply.status),
                    lines.as_mut_ptr(),
                    lines.len(),
                    Bytes::of(reply.body.as_bytes()),
                    DETAILS,
                );
            }
        }
        // SAFETY: as above.
        After::Reset => unsafe {
            abi::envoy_dynamic_module_callback_http_filter_reset_stream(filter, LOCAL_RESET, DETAILS);
        },
        // SAFETY: as above.
        After::ProceedAnswer => unsafe {
            abi::envoy_dynamic_module_callback_http_filter_continue_encoding(filter);
        },
        // SAFETY: as above.
        After::Proceed => unsafe { abi::envoy_dynamic_module_callback_http_filter_continue_decoding(filter) },
    }
}
