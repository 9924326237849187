//! One request: its head to the engine, the decision back to Envoy, and a pause in between where something has to be
//! fetched.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use keyswap_core::{
    AnswerHead, Decision, FetchKey, Header, LocalReply, Pending, RequestHead, Resolution, ResponseHeaders,
    Rewrite, Sent, Step, Verdict,
};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::fetcher::Waiter;
use crate::host::{self, HeaderMap, HostError, Map};
use crate::metrics;
use crate::plugin::Shared;
use crate::store::SharedData;

/// The context of a stream.
pub(crate) struct Stream {
    shared: Option<Rc<Shared>>,
    request: Rc<Request>,
}

/// What is kept of a request after its head was judged, or while it waits to be.
pub(crate) struct Request {
    /// Its context.
    id: u32,
    /// How many headers it has, as the host said when it announced them.
    count: Cell<usize>,
    waits_for: RefCell<Option<FetchKey>>,
    /// What to do to the answer.
    response: RefCell<ResponseHeaders>,
    /// What is to be learnt from the answer.
    sent: Cell<Sent>,
}

/// What becomes of a request now.
enum Outcome {
    Forward,
    Replied,
    Waits,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Option<Rc<Shared>>) -> Self {
        let request = Request {
            id,
            count: Cell::default(),
            waits_for: RefCell::default(),
            response: RefCell::default(),
            sent: Cell::default(),
        };
        Self { shared, request: Rc::new(request) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let (Some(shared), Some(key)) = (&self.shared, self.request.waits_for.take()) {
            shared.with_fetcher(|fetcher| fetcher.leave(&key, &self.request));
        }
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, _end_of_stream: bool) -> Action {
        self.request.count.set(count);
        let outcome = match &self.shared {
            Some(shared) => judge(shared, &self.request, None),
            None => Err(HostError::NoPolicy),
        };
        match outcome.unwrap_or_else(|error| fail(&error)) {
            Outcome::Forward => Action::Continue,
            Outcome::Replied | Outcome::Waits => Action::Pause,
        }
    }

    /// Trailers are no place for a credential: none is read from there, and none is let through.
    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        let Some(shared) = &self.shared else { return Action::Pause };
        let Ok(trailers) = HeaderMap::read(Map::RequestTrailers, count) else { return Action::Pause };
        for (name, _) in trailers.iter().filter(|(name, _)| shared.engine.is_slot(name)) {
            if host::remove(Map::RequestTrailers, name).is_err() {
                return Action::Pause;
            }
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let response = self.request.response.take();
        for name in response.remove {
            complain(host::remove(Map::ResponseHeaders, name.as_bytes()));
        }
        for (name, value) in &response.set {
            complain(host::set(Map::ResponseHeaders, name.as_bytes(), value.as_bytes()));
        }
        for (name, value) in &response.add {
            complain(host::add(Map::ResponseHeaders, name.as_bytes(), value.as_bytes()));
        }
        if let (Some(shared), Ok(now)) = (&self.shared, host::now()) {
            shared.engine.answered(self.request.sent.take(), &Answer, now, &SharedData);
        }
        Action::Continue
    }
}

/// The head of the answer that is on its way to the caller.
struct Answer;

impl AnswerHead for Answer {
    fn value(&self, name: &'static str) -> Option<Vec<u8>> {
        host::get(Map::ResponseHeaders, name.as_bytes()).ok()
    }

    fn is_of_upstream(&self) -> bool {
        host::is_answered_by_upstream()
    }
}

/// Goes on with a request that waited. Its own context was not called, so this one is put in its place.
pub(crate) fn resume(shared: &Shared, waiter: Waiter, resolution: Resolution) {
    let Waiter { request, pending } = waiter;
    request.waits_for.take();
    // A request that is over has left the list; were it there all the same, the host would say so here.
    if let Err(error) = host::set_effective_context(request.id) {
        log::error!("a request that waited is gone: {error}");
        return;
    }
    let outcome = judge(shared, &request, Some((pending, resolution)));
    if let Outcome::Forward = outcome.unwrap_or_else(|error| fail(&error))
        && let Err(error) = host::continue_request()
    {
        log::error!("a request cannot go on: {error}");
    }
}

fn judge(
    shared: &Shared,
    request: &Rc<Request>,
    resumed: Option<(Pending, Resolution)>,
) -> Result<Outcome, HostError> {
    let map = HeaderMap::read(Map::RequestHeaders, request.count.get())?;
    let mut headers = Vec::with_capacity(map.len());
    let mut head = RequestHead { method: b"", path: b"", authority: b"", headers: &[], peer: host::peer };
    for (name, value) in map.iter() {
        match name {
            b":method" => head.method = value,
            b":path" => head.path = value,
            b":authority" => head.authority = value,
            [b':', ..] => {}
            _ => headers.push(Header { name, value }),
        }
    }
    head.headers = &headers;

    let now = host::now()?;
    let engine = &shared.engine;
    let mut step = match resumed {
        None => engine.begin(&head, now, &SharedData),
        Some((pending, resolution)) => engine.resume(pending, resolution, &head, now, &SharedData),
    };
    loop {
        match step {
            Step::Decide(decision) => return Ok(carry_out(shared, request, &head, decision)),
            Step::Fetch(fetch, pending) => {
                let waiter = Waiter { request: Rc::clone(request), pending };
                let Ok(mut fetcher) = shared.fetcher.try_borrow_mut() else { return Err(HostError::Busy) };
                match fetcher.wait(*fetch, waiter, now) {
                    Ok(()) => return Ok(Outcome::Waits),
                    Err(Waiter { pending, .. }) => {
                        step = engine.resume(pending, Resolution::Unavailable, &head, now, &SharedData);
                    }
                }
            }
        }
    }
}

fn carry_out(
    shared: &Shared,
    request: &Request,
    head: &RequestHead<'_>,
    mut decision: Decision<'_>,
) -> Outcome {
    for fetch in std::mem::take(&mut decision.refresh) {
        if let Ok(now) = host::now() {
            shared.start(fetch, now);
        }
    }
    if let Verdict::Forward(rewrite) = &decision.verdict
        && let Err(error) = apply(rewrite)
    {
        log::error!("a rewrite could not be carried out: {error}");
        decision = decision.failed();
    }
    shared.metrics.count(&decision);
    metrics::publish(&decision);
    if let Some(line) = decision.log_line(head) {
        log::info!("{line}");
    }
    match &decision.verdict {
        Verdict::Forward(_) => {
            request.sent.set(decision.sent);
            request.response.replace(decision.response);
            Outcome::Forward
        }
        Verdict::Reply(_, local_reply) | Verdict::Answer(local_reply) => reply(local_reply),
    }
}

impl Request {
    pub(crate) fn wait_for(&self, key: FetchKey) {
        self.waits_for.replace(Some(key));
    }
}

/// Rewrites the head in place. The route was chosen from the client's authority, so it is chosen anew.
fn apply(rewrite: &Rewrite<'_>) -> Result<(), HostError> {
    for name in &rewrite.remove {
        host::remove(Map::RequestHeaders, name)?;
    }
    for (name, value) in &rewrite.set {
        host::set(Map::RequestHeaders, name.as_bytes(), value)?;
    }
    host::set(Map::RequestHeaders, b":authority", rewrite.authority.as_bytes())?;
    host::set(Map::RequestHeaders, b":path", &rewrite.path)?;
    host::clear_route_cache()
}

fn fail(error: &HostError) -> Outcome {
    log::error!("a request could not be judged: {error}");
    reply(&LocalReply::host_failure())
}

/// Ends the stream here. Where even that fails, the stream stays paused: it is never forwarded.
fn reply(reply: &LocalReply) -> Outcome {
    if let Err(error) = host::send_local_reply(reply) {
        log::error!("a reply could not be sent: {error}");
    }
    Outcome::Replied
}

/// A header of an answer that is not set harms nobody but the caller.
fn complain(done: Result<(), HostError>) {
    if let Err(error) = done {
        log::warn!("an answer's header could not be set: {error}");
    }
}
