//! The body of a request whose policy has rules on it: each slice is judged as it passes.
//!
//! A refusal ends the stream in the callback that has the byte which would make the body useful upstream. What went on
//! before is no request yet. Only a slice that waits for a call is held, by Envoy.

use std::rc::Rc;

use keyswap_core::worker::{Refusal, RequestSlice};

use crate::fetcher::Waiter;
use crate::host::{Action, Body, Host, HostError, Map};
use crate::lines::Lines as _;
use crate::request::Request;
use crate::shared::Shared;

/// Judges the part of a body that is on its way now, and lets it pass, holds it, or ends the stream. `size` is `None` where
/// there is no such part.
pub(crate) fn pass<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    size: Option<usize>,
    is_last: bool,
) -> Action {
    or_end(request, judge(shared, request, size, is_last))
}

/// Judges the part of a body that came while its head waited.
pub(crate) fn pass_kept<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) -> Action {
    or_end(request, judge_kept(shared, request))
}

fn or_end<H: Host>(request: &Request<H>, judged: Result<Action, HostError>) -> Action {
    judged.unwrap_or_else(|error| {
        log::error!("the body of a request could not be judged: {error}");
        if request.is_passed.get() {
            return Action::Continue;
        }
        end::<H>();
        Action::Pause
    })
}

/// Goes on with a body that has waited for a call.
pub(crate) fn resume<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) {
    match go_on(shared, request) {
        Ok(Action::Continue) => {
            if let Err(error) = H::proceed() {
                log::error!("a request cannot go on: {error}");
            }
        }
        Ok(_) => {}
        Err(error) => {
            log::error!("the body of a request could not be judged: {error}");
            end::<H>();
        }
    }
}

fn judge<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    size: Option<usize>,
    is_last: bool,
) -> Result<Action, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.judges_request() {
        return Ok(Action::Continue);
    }
    let slice = size.map_or(Ok(Vec::new()), |size| H::slice(Body::Request, size))?;
    let judged = exchange.request_body(&slice, is_last, H::now()?, shared.store());
    drop(exchange);
    let mut passing = slice.as_slice();
    if let Ok(RequestSlice { bytes: Some(bytes), .. }) = &judged {
        H::replace(Body::Request, bytes)?;
        passing = bytes;
    }
    request.is_held.set(request.is_held.get() || !passing.is_empty());
    conclude(shared, request, judged)
}

fn judge_kept<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) -> Result<Action, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.judges_request() {
        return Ok(Action::Continue);
    }
    let (bytes, is_whole) = (H::kept()?, request.is_whole.get());
    if bytes.is_empty() && !is_whole {
        return Ok(Action::Continue);
    }
    let judged = exchange.request_body(&bytes, is_whole, H::now()?, shared.store());
    drop(exchange);
    let mut passing = bytes.as_slice();
    if let Ok(RequestSlice { bytes: Some(bytes), .. }) = &judged {
        H::replace_all(Body::Request, bytes)?;
        passing = bytes;
    }
    request.is_held.set(!passing.is_empty());
    conclude(shared, request, judged)
}

fn go_on<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) -> Result<Action, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    let judged = exchange.resume_request(H::now()?, shared.store());
    drop(exchange);
    conclude(shared, request, judged)
}

fn conclude<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    judged: Result<RequestSlice, Box<Refusal>>,
) -> Result<Action, HostError> {
    let mut judged = judged;
    loop {
        let slice = match judged {
            Ok(slice) => slice,
            Err(refusal) => {
                refuse(shared, request, *refusal);
                return Ok(Action::Pause);
            }
        };
        shared.observe(slice.observation.as_slice());
        if !slice.waits {
            if let Some(fetch) = slice.fetch {
                shared.start(*fetch, H::now()?);
            }
            let has_passed = request.is_held.replace(false);
            request.has_begun.set(request.has_begun.get() || has_passed);
            return Ok(Action::Continue);
        }
        let Some(fetch) = slice.fetch else { return Ok(Action::Pause) };
        let now = H::now()?;
        // Where Envoy may retry, it keeps what went on, and would send that again behind a pause.
        if request.has_begun.get() {
            shared.start(*fetch, now);
        } else if shared.wait(*fetch, Waiter::Body(Rc::clone(request)), now)?.is_ok() {
            return Ok(Action::Pause);
        }
        // It cannot wait, or too many wait already: the request goes on as if the call had failed.
        let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
        judged = exchange.resume_request(now, shared.store());
    }
}

fn refuse<H: Host>(shared: &Shared<H>, request: &Request<H>, refusal: Refusal) {
    shared.observe(&[refusal.observation]);
    request.tell("keyswap_reason", refusal.reason);
    // Where even that fails, the stream stays paused: nothing more goes on.
    if let Err(error) = H::reply(&refusal.reply) {
        log::error!("a reply could not be sent: {error}");
    }
}

fn end<H: Host>() {
    if let Err(error) = H::reset() {
        log::error!("a stream cannot be ended: {error}");
    }
}

/// Removes the trailers of a request that can carry a credential.
pub(crate) fn remove_slots<H: Host>(
    shared: &Shared<H>,
    request: &Request<H>,
    count: usize,
) -> Result<(), HostError> {
    let trailers = H::lines(Map::RequestTrailers, count)?;
    let (in_force, exchange) = (shared.worker.in_force(shared.store()), request.exchange.borrow());
    for trailer in trailers.iter() {
        let (name, _) = trailer?;
        if exchange.is_slot(name).unwrap_or_else(|| in_force.is_slot(name)) {
            H::remove(Map::RequestTrailers, name)?;
        }
    }
    Ok(())
}
