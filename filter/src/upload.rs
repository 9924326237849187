//! The body of a request whose policy has rules on it: each slice is judged as it passes, and none is held.
//!
//! A refusal ends the stream in the callback that has the byte which would make the body useful upstream. What went on
//! before is no request yet.

use keyswap_core::worker::RequestSlice;
use proxy_wasm::types::Action;

use crate::host::{self, Body, HostError};
use crate::request::Request;
use crate::worker::Shared;

/// Judges the slice of a body that is on its way now, and lets it pass or ends the stream.
pub(crate) fn pass(shared: Option<&Shared>, request: &Request, size: usize, is_last: bool) -> Action {
    let Ok(mut exchange) = request.exchange.try_borrow_mut() else { return fail(&HostError::Busy) };
    if !exchange.judges_request() {
        return Action::Continue;
    }
    let slice = match host::body(Body::Request, size) {
        Ok(slice) => slice,
        Err(error) => return fail(&error),
    };
    match exchange.request_body(&slice, is_last) {
        Ok(RequestSlice { bytes, observation }) => {
            if let Some(shared) = shared {
                shared.observe(observation.as_slice());
            }
            match bytes.map_or(Ok(()), |bytes| host::set_body(Body::Request, &bytes)) {
                Ok(()) => Action::Continue,
                Err(error) => fail(&error),
            }
        }
        Err(refusal) => {
            if let Some(shared) = shared {
                shared.observe(&[refusal.observation]);
            }
            host::set_filter_state("keyswap_reason", refusal.reason.as_bytes());
            // Where even that fails, the stream stays paused: nothing more goes on.
            if let Err(error) = host::send_local_reply(&refusal.reply) {
                log::error!("a reply could not be sent: {error}");
            }
            Action::Pause
        }
    }
}

/// Ends a stream whose body cannot be judged.
fn fail(error: &HostError) -> Action {
    log::error!("the body of a request could not be judged: {error}");
    if let Err(error) = host::reset_stream() {
        log::error!("a stream cannot be ended: {error}");
    }
    Action::Pause
}
