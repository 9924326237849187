//! The body of an answer that is metered or filtered: each slice is read as it passes, and bytes may be taken out.

use std::rc::Rc;

use keyswap_core::judge::AnswerHead;
use keyswap_core::worker::AnswerBody;
use proxy_wasm::types::Action;

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

/// Reads the part of an answer that is on its way now.
pub(crate) fn pass(shared: &Shared, request: &Rc<Request>, size: usize, is_last: bool) -> Action {
    let passed = read(shared, request, size, is_last).unwrap_or_else(|error| {
        log::error!("an answer could not be read: {error}");
        false
    });
    if passed { Action::Continue } else { cut_off() }
}

fn cut_off() -> Action {
    if let Err(error) = host::reset_stream() {
        log::error!("a stream cannot be ended: {error}");
    }
    Action::Pause
}

/// Returns whether the answer may go on.
fn read(shared: &Shared, request: &Rc<Request>, size: usize, is_last: bool) -> Result<bool, HostError> {
    let mut exchange = request.exchange.try_borrow_mut().map_err(|_| HostError::Busy)?;
    if !exchange.reads_answer() {
        return Ok(true);
    }
    let slice = host::body(Body::Response, size)?;
    let Ok(edited) = exchange.answer_body(&slice, is_last) else { return Ok(false) };
    drop(exchange);
    if let Some(bytes) = edited {
        host::set_body(Body::Response, &bytes)?;
    }
    if is_last {
        end(shared, request);
    }
    Ok(true)
}

/// Ends an answer behind its body, since trailers come: no byte can be added any more.
pub(crate) fn finish(shared: &Shared, request: &Request) -> Action {
    let finished = {
        let Ok(mut exchange) = request.exchange.try_borrow_mut() else { return Action::Pause };
        if !exchange.reads_answer() {
            return Action::Continue;
        }
        exchange.answer_body(&[], true)
    };
    end(shared, request);
    match finished {
        Ok(rest) if rest.as_ref().is_none_or(Vec::is_empty) => Action::Continue,
        _ => {
            log::error!("an answer breaks off in front of its trailers");
            cut_off()
        }
    }
}

/// Charges a request that has ended, whole or not.
pub(crate) fn end(shared: &Shared, request: &Request) {
    let Ok(mut exchange) = request.exchange.try_borrow_mut() else { return };
    if exchange.is_metered()
        && let Ok(now) = host::now()
    {
        let ended = exchange.end(now, &SharedData);
        shared.observe(&ended.observations);
        for (name, value) in ended.values {
            host::set_filter_state(name, value.as_bytes());
        }
    }
}
