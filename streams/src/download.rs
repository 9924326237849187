//! The body of an answer that is metered, filtered, or tells of objects: each slice is read as it passes, and bytes may be
//! taken out. A slice waits where the registry has to be told or asked first.

use std::rc::Rc;

use keyswap_core::judge::AnswerHead;
use keyswap_core::worker::{AnswerBody, AnswerFault, AnswerSlice};

use crate::fetcher::Waiter;
use crate::host::{Action, Body, Host, HostError};
use crate::request::Request;
use crate::shared::Shared;

/// Takes the head of an answer. Returns what becomes of its body.
pub(crate) fn begin<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    answer: &dyn AnswerHead,
    is_last: bool,
) -> AnswerBody {
    let Ok(mut exchange) = request.exchange.try_borrow_mut() else { return AnswerBody::Withheld };
    let body = exchange.begin_answer(answer);
    let is_over = is_last && exchange.reads_answer();
    drop(exchange);
    if is_over {
        pass(shared, request, 0, true);
    }
    body
}

/// Reads the part of an answer that is on its way now, and lets it pass, holds it, or ends the stream.
pub(crate) fn pass<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    size: usize,
    is_last: bool,
) -> Action {
    or_end::<H>(read(shared, request, Some(size), is_last))
}

/// Ends an answer in front of its trailers.
pub(crate) fn finish<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) -> Action {
    or_end::<H>(read(shared, request, None, true))
}

/// Goes on with an answer that has waited for a call.
pub(crate) fn resume<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) {
    if let Action::Continue = or_end::<H>(go_on(shared, request))
        && let Err(error) = H::proceed_answer()
    {
        log::error!("an answer cannot go on: {error}");
    }
}

fn or_end<H: Host>(passed: Result<Option<Action>, HostError>) -> Action {
    match passed {
        Ok(Some(action)) => return action,
        // Its head has gone, so nothing else can tell the caller.
        Ok(None) => log::warn!("an answer is cut off, since it cannot be read or its objects have no holder"),
        Err(error) => log::error!("an answer could not be read: {error}"),
    }
    if let Err(error) = H::reset() {
        log::error!("a stream cannot be ended: {error}");
    }
    Action::Pause
}

/// Returns the action; `None` where nothing more of the answer may go on.
fn read<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    size: Option<usize>,
    is_last: bool,
) -> Result<Option<Action>, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.reads_answer() {
        return Ok(Some(Action::Continue));
    }
    let slice = size.map_or(Ok(Vec::new()), |size| H::slice(Body::Response, size))?;
    let answer = exchange.answer_body(&slice, is_last, H::now()?, shared.store());
    drop(exchange);
    request.is_answer_held.set(request.is_answer_held.get() || !slice.is_empty());
    request.answer_is_last.set(is_last);
    if !slice.is_empty() && answer.as_ref().is_ok_and(|answer| answer.waits) && H::take_out(Body::Response)? {
        request.is_answer_held.set(false);
    }
    conclude(shared, request, answer)
}

fn go_on<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) -> Result<Option<Action>, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    let answer = exchange.resume_answer(H::now()?, shared.store());
    drop(exchange);
    conclude(shared, request, answer)
}

fn conclude<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    answer: Result<AnswerSlice, AnswerFault>,
) -> Result<Option<Action>, HostError> {
    let mut answer = answer;
    loop {
        let Ok(AnswerSlice { bytes, waits, fetch }) = answer else { return Ok(None) };
        let now = H::now()?;
        if !waits {
            if let Some(fetch) = fetch {
                shared.start(*fetch, now);
            }
            // In front of trailers nothing is on its way that could be replaced.
            let is_held = request.is_answer_held.replace(false);
            if let Some(bytes) = bytes.filter(|bytes| is_held || !bytes.is_empty()) {
                H::replace_all(Body::Response, &bytes)?;
            }
            if request.answer_is_last.get() {
                end(shared, request);
            }
            return Ok(Some(Action::Continue));
        }
        // Without a call it waits for the one that is on its way.
        let Some(fetch) = fetch else { return Ok(Some(Action::Pause)) };
        if shared.wait(*fetch, Waiter::Answer(Rc::clone(request)), now)?.is_ok() {
            return Ok(Some(Action::Pause));
        }
        // Too many wait already: the answer goes on as if the call had failed.
        let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
        answer = exchange.resume_answer(now, shared.store());
    }
}

/// Ends the exchange of a request, whole or not.
pub(crate) fn end<H: Host>(shared: &Shared<H>, request: &Request<H>) {
    let Ok(mut exchange) = request.exchange.try_borrow_mut() else { return };
    if exchange.has_end()
        && let Ok(now) = H::now()
    {
        let ended = exchange.end(now, shared.store());
        shared.observe(&ended.observations);
        for (name, value) in ended.values {
            request.tell(name, &value);
        }
    }
}
