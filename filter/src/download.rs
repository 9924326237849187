//! The body of an answer that is metered, filtered, or tells of objects: each slice is read as it passes, and bytes may be
//! taken out. A slice waits where the registry has to be told or asked first.

use std::rc::Rc;

use keyswap_core::judge::AnswerHead;
use keyswap_core::worker::{AnswerBody, AnswerFault, AnswerSlice};
use proxy_wasm::types::Action;

use crate::fetcher::Waiter;
use crate::host::{self, Body, HostError};
use crate::request::Request;
use crate::store::SharedData;
use crate::worker::Shared;

/// Takes the head of an answer. Returns what becomes of its body.
pub(crate) fn begin(
    shared: &Shared,
    request: &Rc<Request>,
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
pub(crate) fn pass(shared: &Shared, request: &Rc<Request>, size: usize, is_last: bool) -> Action {
    or_end(read(shared, request, size, is_last))
}

/// Goes on with an answer that has waited for a call. The host did not call the request's own context.
pub(crate) fn resume(shared: &Shared, request: &Rc<Request>) {
    request.waits_for.take();
    let resumed = host::set_effective_context(request.id).and_then(|()| go_on(shared, request));
    if let Action::Continue = or_end(resumed)
        && let Err(error) = host::continue_answer()
    {
        log::error!("an answer cannot go on: {error}");
    }
}

fn or_end(passed: Result<Option<Action>, HostError>) -> Action {
    match passed {
        Ok(Some(action)) => return action,
        // Its head has gone, so nothing else can tell the caller.
        Ok(None) => log::warn!("an answer is cut off, since it cannot be read or its objects have no holder"),
        Err(error) => log::error!("an answer could not be read: {error}"),
    }
    if let Err(error) = host::reset_stream() {
        log::error!("a stream cannot be ended: {error}");
    }
    Action::Pause
}

/// Returns the action; `None` where nothing more of the answer may go on.
fn read(
    shared: &Shared,
    request: &Rc<Request>,
    size: usize,
    is_last: bool,
) -> Result<Option<Action>, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.reads_answer() {
        return Ok(Some(Action::Continue));
    }
    // While a slice is held, the host shows it again in front of what has come.
    let body = host::body(Body::Response, size)?;
    let (_, slice) = body.split_at_checked(request.answer_held.get()).ok_or(HostError::Malformed)?;
    let answer = exchange.answer_body(slice, is_last, host::now()?, &SharedData);
    drop(exchange);
    request.answer_held.set(body.len());
    request.answer_is_last.set(is_last);
    conclude(shared, request, answer)
}

fn go_on(shared: &Shared, request: &Rc<Request>) -> Result<Option<Action>, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    let answer = exchange.resume_answer(host::now()?, &SharedData);
    drop(exchange);
    conclude(shared, request, answer)
}

fn conclude(
    shared: &Shared,
    request: &Rc<Request>,
    answer: Result<AnswerSlice, AnswerFault>,
) -> Result<Option<Action>, HostError> {
    let mut answer = answer;
    loop {
        let Ok(AnswerSlice { bytes, waits, fetch }) = answer else { return Ok(None) };
        let now = host::now()?;
        if !waits {
            if let Some(fetch) = fetch {
                shared.start(*fetch, now);
            }
            if let Some(bytes) = bytes {
                host::set_body(Body::Response, &bytes)?;
            }
            request.answer_held.set(0);
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
        answer = exchange.resume_answer(now, &SharedData);
    }
}

/// Ends an answer behind its body, since trailers come: no byte can be added any more.
pub(crate) fn finish(shared: &Shared, request: &Rc<Request>) -> Action {
    or_end(end_body(shared, request))
}

fn end_body(shared: &Shared, request: &Rc<Request>) -> Result<Option<Action>, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.reads_answer() {
        return Ok(Some(Action::Continue));
    }
    let answer = exchange.answer_body(&[], true, host::now()?, &SharedData);
    drop(exchange);
    request.answer_is_last.set(true);
    let is_whole = answer.as_ref().is_ok_and(|rest| rest.bytes.as_ref().is_none_or(Vec::is_empty));
    if !is_whole {
        return Ok(None);
    }
    conclude(shared, request, answer.map(|rest| AnswerSlice { bytes: None, ..rest }))
}

/// Ends the exchange of a request, whole or not.
pub(crate) fn end(shared: &Shared, request: &Request) {
    let Ok(mut exchange) = request.exchange.try_borrow_mut() else { return };
    if exchange.has_end()
        && let Ok(now) = host::now()
    {
        let ended = exchange.end(now, &SharedData);
        shared.observe(&ended.observations);
        for (name, value) in ended.values {
            host::set_filter_state(name, value.as_bytes());
        }
    }
}
