//! A call that the engine asked for: one exchange with a deadline and a bounded answer, which goes on while no request
//! waits.

use keyswap_core::services::{AsOf, Fetch, FetchAnswer, FetchKey, FetchRequest, MAX_FETCHED_BYTES};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, StreamError};

use super::{reply, request};

/// A call on its way.
pub(super) struct Call {
    pub(super) key: FetchKey,
    pub(super) as_of: AsOf,
    state: State,
    /// The end of the time limit, in nanoseconds of the monotonic clock.
    deadline: u64,
}

enum State {
    Asked(FutureIncomingResponse),
    Answered(Answer),
    Failed,
}

/// The part of an answer that has arrived. Fields are dropped in this order, since a stream must go before its body.
struct Answer {
    status: u16,
    bytes: Vec<u8>,
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

impl Call {
    /// Makes the call. A call that cannot even be made has failed.
    pub(super) fn start(fetch: Fetch) -> Self {
        let Fetch { key, request, as_of } = fetch;
        let timeout = u64::try_from(request.timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline = monotonic_clock::now().saturating_add(timeout);
        let state = send(&request).map_or(State::Failed, State::Asked);
        Self { key, as_of, state, deadline }
    }

    /// Waits for the end of the call.
    pub(super) fn wait(&mut self) {
        while !self.is_over() {
            let Some(ready) = self.ready() else { return };
            let timeout = monotonic_clock::subscribe_instant(self.deadline);
            poll(&[&ready, &timeout]);
        }
    }

    /// Takes what has arrived; returns whether the call is over.
    pub(super) fn is_over(&mut self) -> bool {
        // A host may look for the answer only when it is asked whether there is one.
        if let State::Asked(future) = &self.state
            && future.subscribe().ready()
            && let Some(answer) = future.get()
        {
            let response = answer.ok().and_then(Result::ok);
            self.state = response.and_then(Answer::new).map_or(State::Failed, State::Answered);
        }
        let progress = match &mut self.state {
            State::Asked(_) => Ok(false),
            State::Answered(answer) => answer.read(),
            State::Failed => Ok(true),
        };
        let is_late = progress == Ok(false) && monotonic_clock::now() >= self.deadline;
        if is_late || progress.is_err() {
            self.state = State::Failed;
        }
        is_late || progress != Ok(false)
    }

    /// Returns the answer, once the call is over.
    pub(super) fn answer(&self) -> FetchAnswer<'_> {
        match &self.state {
            State::Answered(answer) => FetchAnswer::Response { status: answer.status, body: &answer.bytes },
            State::Asked(_) | State::Failed => FetchAnswer::Failed,
        }
    }

    /// Returns the event at which more arrives; `None` for a failed call.
    fn ready(&self) -> Option<Pollable> {
        match &self.state {
            State::Asked(future) => Some(future.subscribe()),
            State::Answered(answer) => Some(answer.stream.subscribe()),
            State::Failed => None,
        }
    }
}

/// The error of an answer that is cut off, or longer than any reader takes.
#[derive(PartialEq)]
struct Useless;

impl Answer {
    fn new(response: IncomingResponse) -> Option<Self> {
        let body = response.consume().ok()?;
        let stream = body.stream().ok()?;
        let status = response.status();
        Some(Self { status, bytes: Vec::new(), stream, _body: body, _response: response })
    }

    /// Reads what has arrived; returns whether that is all.
    fn read(&mut self) -> Result<bool, Useless> {
        const CHUNK: u64 = 64 * 1024;
        loop {
            match self.stream.read(CHUNK) {
                Ok(bytes) if bytes.is_empty() => return Ok(false),
                Ok(bytes) => self.bytes.extend_from_slice(&bytes),
                Err(StreamError::Closed) => return Ok(true),
                Err(StreamError::LastOperationFailed(_)) => return Err(Useless),
            }
            if self.bytes.len() > MAX_FETCHED_BYTES {
                return Err(Useless);
            }
        }
    }
}

fn send(call: &FetchRequest) -> Option<FutureIncomingResponse> {
    let length = call.body.as_ref().map(|body| body.len().to_string());
    let length = length.as_ref().map(|length| ("content-length", length.as_str()));
    let fields = Fields::new();
    // One by one, so that no copy of a secret is made.
    for (name, value) in call.fields().chain(length) {
        fields.append(name, value.as_bytes()).ok()?;
    }
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_method(&request::method(call.method().as_bytes())).ok()?;
    outgoing.set_scheme(Some(&if call.https { Scheme::Https } else { Scheme::Http })).ok()?;
    outgoing.set_authority(Some(call.authority())).ok()?;
    outgoing.set_path_with_query(Some(call.target())).ok()?;
    let Some(bytes) = &call.body else { return outgoing_handler::handle(outgoing, None).ok() };
    let body = outgoing.body().ok()?;
    let sink = body.write().ok()?;
    let future = outgoing_handler::handle(outgoing, None).ok()?;
    // The body fits into what hosts buffer; else this waits until the host takes it.
    reply::write(&sink, bytes).ok()?;
    drop(sink);
    OutgoingBody::finish(body, None).ok()?;
    Some(future)
}
