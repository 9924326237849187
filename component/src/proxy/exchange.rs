//! A granted request on its way upstream, and its answer on its way to the caller.
//!
//! Both bodies move as they come, both at once, so that neither waits for the other's end. When the caller leaves, the
//! request upstream is given up. Trailers that carry a credential, or that were not announced, end here.

use std::cell::{Cell, RefCell};

use keyswap_core::answer::{LocalReply, UpstreamFailure};
use keyswap_core::host::Forgetful;
use keyswap_core::judge::{AnswerFields, AnswerHead, Field, Rewrite, has_content};
use keyswap_core::request::{OwnedHead, RequestHead};
use keyswap_core::services::Fetch;
use keyswap_core::worker::{AnswerBody, AnswerFault, AnswerSlice, Exchange};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingRequest, IncomingResponse, OutgoingBody,
    OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream};

use super::host::{log, now};
use super::pump::{End, Judge, Refused};
use super::transfer::{Traits, Transfer, Turn};
use super::upload::Upload;
use super::{brokered, reply, request};

/// The time limit for connecting, in nanoseconds, as in `envoy/bootstrap.yaml`. The host bounds the silence of an
/// upstream: Wasmtime and hosts built on it wait for ten minutes, after which the SDKs give up, too.
const CONNECT_TIMEOUT_NS: u64 = 5_000_000_000;
/// The time after which a caller that left is noticed, in nanoseconds, also while the upstream is silent.
const CALLER_CHECK_NS: u64 = 1_000_000_000;

/// The reason for which nothing of a request was sent.
pub(super) enum Unsent {
    /// The host would not take it as it is.
    Unsendable,
    /// It is refused, since it has no body.
    Refused(LocalReply),
}

/// The head of the answer to a request that was not sent. The upstream did nothing for it, so that nothing is charged.
pub(super) struct Unanswered;

impl AnswerHead for Unanswered {
    fn value(&self, _name: &'static str) -> Option<Vec<u8>> {
        None
    }

    fn is_of_upstream(&self) -> bool {
        false
    }
}

/// A request that was sent: its answer, and the rest of its body.
pub(super) struct Sending {
    answer: FutureIncomingResponse,
    upload: Option<Transfer>,
}

impl Sending {
    /// Sends the head of a request. One without a body ends with its head, so that all of it is judged before.
    pub(super) fn start(
        incoming: &IncomingRequest,
        head: &RequestHead<'_>,
        rewrite: &Rewrite<'_>,
        is_reached: bool,
        judge_nothing: impl FnOnce() -> Result<(), LocalReply>,
    ) -> Result<Self, Unsent> {
        use Unsent::Unsendable;
        let outgoing = write_head(head, rewrite).ok_or(Unsendable)?;
        let options = (!is_reached).then(options);
        let Some(Upload { source, from, begun }) = Upload::of(incoming, head) else {
            judge_nothing().map_err(Unsent::Refused)?;
            let answer = outgoing_handler::handle(outgoing, options).map_err(|_| Unsendable)?;
            return Ok(Self { answer, upload: None });
        };
        let to = outgoing.body().map_err(|()| Unsendable)?;
        let sink = to.write().map_err(|()| Unsendable)?;
        let answer = outgoing_handler::handle(outgoing, options).map_err(|_| Unsendable)?;
        let traits = Traits::of(head.headers.iter().map(|header| (header.name, header.value)));
        Ok(Self { answer, upload: Some(Transfer::new((source, from), (sink, to), begun, traits)) })
    }

    /// Carries the answer to the caller, and the rest of the request upstream. Calls `answered` when an answer comes.
    pub(super) fn carry(
        mut self,
        exchange: &RefCell<Exchange>,
        authority: &str,
        head: &OwnedHead,
        out: ResponseOutparam,
        answered: impl FnOnce(),
        fetch: &dyn Fn(Fetch),
    ) {
        let trailers = |lines: &[Field<'_>]| request_trailers(&exchange.borrow(), lines);
        let refused = Cell::new(None);
        let mut judge = |slice: &[u8], is_last: bool| judge_slice(exchange, &refused, fetch, slice, is_last);
        let mut judge = exchange.borrow().judges_request().then_some(&mut judge as &mut Judge<'_>);
        let ready = self.answer.subscribe();
        loop {
            let mut turn = Turn::default();
            match turn.advance(&mut self.upload, &trailers, judge.as_deref_mut()) {
                // The request broke off, so there is nothing to answer.
                Some(End::Broken) => return reply::give_up(out),
                Some(End::Refused) => {
                    drop(ready);
                    let reply = refused.take().unwrap_or_else(LocalReply::host_failure);
                    return reply::send(out, &reply, head);
                }
                _ => {}
            }
            // An answer may come before all is sent.
            if turn.end(Some(&ready)) {
                break;
            }
        }
        drop(ready);
        // A host that reports an answer and has none has failed.
        let answer = self.answer.get().and_then(Result::ok);
        match answer.unwrap_or(Err(ErrorCode::InternalError(None))) {
            Ok(answer) => {
                answered();
                let download = begin_answer(exchange, &answer, head, out);
                let answer_trailers =
                    |lines: &[Field<'_>]| reply::fields(exchange.borrow().response().trailers(lines)).ok();
                let mut read = |slice: &[u8], is_last: bool| read_slice(exchange, fetch, slice, is_last);
                let read = exchange.borrow().reads_answer().then_some(&mut read as &mut Judge<'_>);
                carry_bodies((self.upload, &trailers, judge), (download, &answer_trailers, read));
            }
            Err(error) => {
                log([format!("no answer from `{authority}`: {}", cause(&error))]);
                reply::send_with(out, &LocalReply::upstream(why(&error)), exchange.borrow().response(), head);
            }
        }
    }
}

fn write_head(head: &RequestHead<'_>, rewrite: &Rewrite<'_>) -> Option<OutgoingRequest> {
    let fields = reply::fields(rewrite.kept(head)).ok()?;
    // One by one, so that no copy of a secret is made.
    for (name, value) in &rewrite.set {
        fields.append(name, value).ok()?;
    }
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_method(&request::method(head.method)).ok()?;
    outgoing.set_scheme(Some(&if rewrite.https { Scheme::Https } else { Scheme::Http })).ok()?;
    outgoing.set_authority(Some(rewrite.authority)).ok()?;
    outgoing.set_path_with_query(Some(str::from_utf8(&rewrite.path).ok()?)).ok()?;
    Some(outgoing)
}

fn options() -> RequestOptions {
    let options = RequestOptions::new();
    // A host that cannot set the timeout has its own.
    let _ = options.set_connect_timeout(Some(CONNECT_TIMEOUT_NS));
    options
}

/// Passes the head of an answer to the caller. Returns the transfer of its body, where it has one.
fn begin_answer(
    cell: &RefCell<Exchange>,
    answer: &IncomingResponse,
    head: &OwnedHead,
    out: ResponseOutparam,
) -> Option<Transfer> {
    let status = answer.status();
    let mut lines = answer.headers().entries();
    let borrowed: Vec<Field<'_>> =
        lines.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect();
    let fields = AnswerFields { status, fields: &borrowed };
    let body = cell.borrow_mut().begin_answer(&fields);
    let exchange = &*cell.borrow();
    if exchange.has_to_learn() {
        exchange.answered(&fields, now(), &Forgetful);
    }
    if body == AnswerBody::Withheld {
        reply::send(out, &exchange.withheld(), head);
        return None;
    }
    if exchange.is_minting() {
        brokered::answer(exchange, answer, &borrowed, head, out);
        return None;
    }
    let mut traits = Traits::of(borrowed.iter().copied());
    let is_edited = body == AnswerBody::Edited;
    let is_length = |name: &[u8]| name.eq_ignore_ascii_case(b"content-length");
    let keeps = exchange.response().keeps(&borrowed).zip(&borrowed);
    let keeps: Vec<bool> = keeps.map(|(keeps, (name, _))| keeps && !(is_edited && is_length(name))).collect();
    if is_edited {
        traits = traits.without_length();
    }
    let mut keeps = keeps.into_iter();
    lines.retain(|_| keeps.next() == Some(true));
    lines.extend(reply::copies(exchange.response().own()));
    let response = OutgoingResponse::new(reply::accepted_fields(&lines));
    let is_set = response.set_status_code(status).is_ok();
    let has_content = has_content(head.method.as_bytes(), status);
    let ends = if has_content { bodies(answer, &response) } else { None };
    if !is_set || has_content != ends.is_some() {
        reply::give_up(out);
        return None;
    }
    ResponseOutparam::set(out, Ok(response));
    let (from, to) = ends?;
    Some(Transfer::new(from, to, Vec::new(), traits))
}

type Ends = ((InputStream, IncomingBody), (OutputStream, OutgoingBody));

fn bodies(answer: &IncomingResponse, response: &OutgoingResponse) -> Option<Ends> {
    let from = answer.consume().ok()?;
    let to = response.body().ok()?;
    Some(((from.stream().ok()?, from), (to.write().ok()?, to)))
}

/// The trailers that go on, of those that came.
type Trailers<'t> = dyn Fn(&[Field<'_>]) -> Option<Fields> + 't;

/// Carries the rest of both bodies, until the answer has ended or its caller has left.
fn carry_bodies(
    (mut upload, request_trailers, mut judge): (Option<Transfer>, &Trailers<'_>, Option<&mut Judge<'_>>),
    (mut download, answer_trailers, mut read): (Option<Transfer>, &Trailers<'_>, Option<&mut Judge<'_>>),
) {
    let may_be_silent = download.as_ref().is_some_and(Transfer::may_be_silent);
    let mut timer = None;
    while download.is_some() {
        let mut turn = Turn::default();
        // An answer that has begun is cut off where its request is refused.
        let end = turn.advance(&mut upload, request_trailers, judge.as_deref_mut());
        if matches!(end, Some(End::Broken | End::Refused)) {
            return;
        }
        turn.advance(&mut download, answer_trailers, read.as_deref_mut());
        if may_be_silent && timer.is_none() && !turn.has_moved() {
            timer = Some(monotonic_clock::subscribe_duration(CALLER_CHECK_NS));
        }
        if turn.end(timer.as_ref()) {
            timer = None;
            // Dropping a transfer gives it up.
            download = download.filter(Transfer::is_wanted);
        }
    }
}

/// Judges a request that has no body, where bodies are judged.
pub(super) fn judge_nothing(exchange: &RefCell<Exchange>, fetch: &dyn Fn(Fetch)) -> Result<(), LocalReply> {
    if !exchange.borrow().judges_request() {
        return Ok(());
    }
    let refused = Cell::new(None);
    match judge_slice(exchange, &refused, fetch, &[], true) {
        Ok(_) => Ok(()),
        Err(Refused) => Err(refused.take().unwrap_or_else(LocalReply::host_failure)),
    }
}

/// Judges a slice of the request's body. A refusal is logged and kept.
fn judge_slice(
    exchange: &RefCell<Exchange>,
    refused: &Cell<Option<LocalReply>>,
    fetch: &dyn Fn(Fetch),
    slice: &[u8],
    is_last: bool,
) -> Result<Option<Vec<u8>>, Refused> {
    let Ok(mut exchange) = exchange.try_borrow_mut() else { return Err(Refused) };
    let mut judged = exchange.request_body(slice, is_last, now(), &Forgetful);
    let mut bytes = None;
    loop {
        match judged {
            Ok(slice) => {
                bytes = bytes.or(slice.bytes);
                let Some(call) = slice.fetch else { return Ok(bytes) };
                fetch(*call);
                judged = exchange.resume_request(now(), &Forgetful);
            }
            Err(refusal) => {
                log(refusal.observation.line);
                refused.set(Some(refusal.reply));
                return Err(Refused);
            }
        }
    }
}

/// Reads a slice of the answer's body, and makes the calls that it waits for. Calls that only the end of the answer waits for
/// are made then.
fn read_slice(
    exchange: &RefCell<Exchange>,
    fetch: &dyn Fn(Fetch),
    slice: &[u8],
    is_last: bool,
) -> Result<Option<Vec<u8>>, Refused> {
    let Ok(mut exchange) = exchange.try_borrow_mut() else { return Err(Refused) };
    let mut read = exchange.answer_body(slice, is_last, now(), &Forgetful);
    loop {
        match read {
            Ok(AnswerSlice { waits: true, fetch: Some(call), .. }) => {
                fetch(*call);
                read = exchange.resume_answer(now(), &Forgetful);
            }
            // Nothing is on its way that the slice could wait for.
            Ok(AnswerSlice { waits: true, .. }) | Err(AnswerFault) => return Err(Refused),
            Ok(AnswerSlice { bytes, .. }) => return Ok(bytes),
        }
    }
}

/// Returns the trailers of a request without those that may carry a credential.
fn request_trailers(exchange: &Exchange, lines: &[Field<'_>]) -> Option<Fields> {
    reply::fields(lines.iter().copied().filter(|(name, _)| exchange.is_slot(name) == Some(false))).ok()
}

fn why(error: &ErrorCode) -> UpstreamFailure {
    match error {
        ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => UpstreamFailure::TooSlow,
        _ => UpstreamFailure::Unreachable,
    }
}

/// Returns the cause in words, for operators. The host's own words may be long, and hold anything.
fn cause(error: &ErrorCode) -> &'static str {
    match error {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) => "its name cannot be resolved",
        ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused => "no connection can be made",
        ErrorCode::DestinationIpProhibited | ErrorCode::HttpRequestDenied => "the host does not allow it",
        ErrorCode::TlsProtocolError | ErrorCode::TlsCertificateError | ErrorCode::TlsAlertReceived(_) => {
            "the TLS handshake failed"
        }
        ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => "it took too long",
        _ => "the connection failed",
    }
}
