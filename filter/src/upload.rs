//! The body of a request whose policy has rules on it: each slice is judged as it passes.
//!
//! A refusal ends the stream in the callback that has the byte which would make the body useful upstream. What went on
//! before is no request yet. Only a slice that waits for a call is held, by Envoy.

use std::rc::Rc;

use keyswap_core::worker::{Refusal, RequestSlice};
use proxy_wasm::types::Action;

use crate::fetcher::Waiter;
use crate::host::{self, Body, HostError};
use crate::request::Request;
use crate::store::SharedData;
use crate::worker::Shared;

/// Judges the part of a body that is on its way now, and lets it pass, holds it, or ends the stream.
pub(crate) fn pass(shared: &Shared, request: &Rc<Request>, size: usize, is_last: bool) -> Action {
    judge(shared, request, size, is_last).unwrap_or_else(|error| {
        log::error!("the body of a request could not be judged: {error}");
        if request.is_passed.get() {
            return Action::Continue;
        }
        end();
        Action::Pause
    })
}

/// Goes on with a body that has waited for a call. The host did not call the request's own context.
pub(crate) fn resume(shared: &Shared, request: &Rc<Request>) {
    request.waits_for.take();
    let resumed = host::set_effective_context(request.id).and_then(|()| go_on(shared, request));
    match resumed {
        Ok(Action::Continue) => {
            request.held.set(0);
            if let Err(error) = host::continue_request() {
                log::error!("a request cannot go on: {error}");
            }
        }
        Ok(_) => {}
        Err(error) => {
            log::error!("the body of a request could not be judged: {error}");
            end();
        }
    }
}

fn judge(shared: &Shared, request: &Rc<Request>, size: usize, is_last: bool) -> Result<Action, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.judges_request() {
        return Ok(Action::Continue);
    }
    // While a slice is held, the host shows it again in front of what has come.
    let body = host::body(Body::Request, size)?;
    let (held, slice) = body.split_at_checked(request.held.get()).ok_or(HostError::Malformed)?;
    let judged = exchange.request_body(slice, is_last, host::now()?, &SharedData);
    drop(exchange);
    if let Ok(RequestSlice { bytes: Some(bytes), .. }) = &judged {
        host::set_body(Body::Request, &[held, bytes].concat())?;
        request.held.set(held.len().saturating_add(bytes.len()));
    } else {
        request.held.set(body.len());
    }
    conclude(shared, request, judged)
}

fn go_on(shared: &Shared, request: &Rc<Request>) -> Result<Action, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    let judged = exchange.resume_request(host::now()?, &SharedData);
    drop(exchange);
    conclude(shared, request, judged)
}

fn conclude(
    shared: &Shared,
    request: &Rc<Request>,
    judged: Result<RequestSlice, Box<Refusal>>,
) -> Result<Action, HostError> {
    let mut judged = judged;
    loop {
        let slice = match judged {
            Ok(slice) => slice,
            Err(refusal) => {
                refuse(shared, *refusal);
                return Ok(Action::Pause);
            }
        };
        shared.observe(slice.observation.as_slice());
        if !slice.waits {
            request.has_begun.set(request.has_begun.get() || request.held.get() > 0);
            request.held.set(0);
            return Ok(Action::Continue);
        }
        let Some(fetch) = slice.fetch else { return Ok(Action::Pause) };
        let now = host::now()?;
        // Where Envoy may retry, it keeps what went on, and would send that again behind a pause.
        if request.has_begun.get() {
            shared.start(*fetch, now);
        } else if shared.wait(*fetch, Waiter::Body(Rc::clone(request)), now)?.is_ok() {
            return Ok(Action::Pause);
        }
        // It cannot wait, or too many wait already: the request goes on as if the call had failed.
        let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
        judged = exchange.resume_request(now, &SharedData);
    }
}

fn refuse(shared: &Shared, refusal: Refusal) {
    shared.observe(&[refusal.observation]);
    host::set_filter_state("keyswap_reason", refusal.reason.as_bytes());
    // Where even that fails, the stream stays paused: nothing more goes on.
    if let Err(error) = host::send_local_reply(&refusal.reply) {
        log::error!("a reply could not be sent: {error}");
    }
}

fn end() {
    if let Err(error) = host::reset_stream() {
        log::error!("a stream cannot be ended: {error}");
    }
}
