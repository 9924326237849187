//! One request: its head to the engine, the decision back to Envoy, and a pause in between where something has to be
//! fetched.

use std::rc::Rc;

use keyswap_core::answer::{LocalReply, ResponseHeaders};
use keyswap_core::judge::{AnswerHead, Decision, Request as Judged, Rewrite, Verdict};
use keyswap_core::request::{HeadFields, RequestHead};
use keyswap_core::services::Resolution;
use keyswap_core::worker::{AnswerBody, Entry, InForce, Next, Ticket};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::brokered::Held;
use crate::download;
use crate::fetcher::Waiter;
use crate::header_map::HeaderMap;
use crate::host::{self, HostError, Map};
use crate::metrics;
use crate::request::Request;
use crate::store::SharedData;
use crate::upload;
use crate::worker::Shared;

/// The context of a stream.
pub(crate) struct Stream {
    shared: Option<Rc<Shared>>,
    request: Rc<Request>,
    /// The body of a brokered answer.
    held: Option<Held>,
}

/// The state of a request for Envoy.
enum Outcome {
    Forward,
    Replied,
    Waits,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Option<Rc<Shared>>) -> Self {
        Self { shared, request: Rc::new(Request { id, ..Request::default() }), held: None }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else { return };
        if let Some(key) = self.request.waits_for.take() {
            shared.with_fetcher(|fetcher| fetcher.leave(&key, &self.request));
        }
        if self.request.exchange.borrow().may_end() {
            shared.forget(&self.request);
        }
        download::end(shared, &self.request);
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        self.request.count.set(count);
        self.request.has_body.set(!end_of_stream);
        let Some(shared) = &self.shared else {
            log::error!("a request could not be judged: {}", HostError::NotConfigured);
            reply(&LocalReply::host_failure());
            return Action::Pause;
        };
        let outcome = judge(shared, &self.request, Entry::New)
            .unwrap_or_else(|error| fail(shared, &self.request, &error));
        match outcome {
            Outcome::Forward => Action::Continue,
            Outcome::Replied | Outcome::Waits => Action::Pause,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match &self.shared {
            Some(shared) => upload::pass(shared, &self.request, size, end_of_stream),
            None => Action::Pause,
        }
    }

    /// Removes trailers that could carry a credential: none is read from a trailer, and none is let through.
    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        if self.request.is_passed.get() {
            return Action::Continue;
        }
        let Some(shared) = &self.shared else { return Action::Pause };
        // A request that waits at its end goes on without another look at its trailers.
        if remove_slots(shared, &self.request, count).is_err() {
            return Action::Pause;
        }
        upload::pass(shared, &self.request, self.request.held.get(), true)
    }

    fn on_http_response_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        let body = match &self.shared {
            Some(shared) => download::begin(shared, &self.request, &Answer, end_of_stream),
            None => AnswerBody::Same,
        };
        if body == AnswerBody::Withheld {
            reply(&self.request.exchange.borrow().withheld());
            return Action::Pause;
        }
        let exchange = self.request.exchange.borrow();
        let response = exchange.response();
        if exchange.has_to_learn()
            && let Ok(now) = host::now()
        {
            exchange.answered(&Answer, now, &SharedData);
        }
        if response.hides_any()
            && let Some(local_reply) = hide(response, count)
        {
            reply(&local_reply);
            return Action::Pause;
        }
        let length = (body == AnswerBody::Edited && !end_of_stream).then_some("content-length");
        for name in response.remove.iter().copied().chain(length) {
            complain(host::remove(Map::ResponseHeaders, name.as_bytes()));
        }
        for (name, value) in &response.set {
            complain(host::set(Map::ResponseHeaders, name.as_bytes(), value.as_bytes()));
        }
        for (name, value) in &response.add {
            complain(host::add(Map::ResponseHeaders, name.as_bytes(), value.as_bytes()));
        }
        if exchange.is_minting() {
            let status = Answer.status();
            if !exchange.holds(status, Answer.is_of_upstream()) {
                return Action::Continue;
            }
            if end_of_stream {
                reply(&exchange.withheld());
                return Action::Pause;
            }
            self.held = Some(Held::Collected(status.unwrap_or_default(), Vec::new()));
        }
        Action::Continue
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match &mut self.held {
            None => match &self.shared {
                Some(shared) => download::pass(shared, &self.request, size, end_of_stream),
                None => Action::Continue,
            },
            Some(held) => held.take(&self.request.exchange.borrow(), size, end_of_stream),
        }
    }

    /// Removes what is not for the caller from trailers, too. An answer whose trailers cannot be read is cut off.
    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        let exchange = self.request.exchange.borrow();
        if let Some(held) = &mut self.held {
            return held.cut(&exchange);
        }
        let response = exchange.response();
        if response.hides_any()
            && let Err(error) = remove_hidden(Map::ResponseTrailers, response, count)
        {
            log::error!("the trailers of an answer could not be read: {error}");
            complain(host::reset_stream());
            return Action::Pause;
        }
        drop(exchange);
        // Envoy shows trailers once, so nothing is left to do to them after a wait.
        match &self.shared {
            Some(shared) => download::finish(shared, &self.request),
            None => Action::Continue,
        }
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

impl Answer {
    fn status(&self) -> Option<u16> {
        str::from_utf8(&self.value(":status")?).ok()?.parse().ok()
    }
}

/// Resumes a waiter whose fetch is done.
pub(crate) fn resume(shared: &Shared, waiter: Waiter, resolution: Resolution) {
    match waiter {
        Waiter::Request(request, ticket) => resume_request(shared, &request, ticket, resolution),
        Waiter::Body(request) => upload::resume(shared, &request),
        Waiter::Answer(request) => download::resume(shared, &request),
        Waiter::Background(map, ticket) => resume_background(shared, map, ticket, resolution),
    }
}

/// Resumes a request. The host did not call the request's own context, so that is made the effective one.
fn resume_request(shared: &Shared, request: &Rc<Request>, ticket: Ticket, resolution: Resolution) {
    request.waits_for.take();
    // A request that is over has left the list; were it there all the same, the host would say so here.
    if let Err(error) = host::set_effective_context(request.id) {
        log::error!("a request that waited is gone: {error}");
        return;
    }
    let outcome = judge(shared, request, Entry::Resumed(ticket, resolution));
    if let Outcome::Forward = outcome.unwrap_or_else(|error| fail(shared, request, &error))
        && let Err(error) = host::continue_request()
    {
        log::error!("a request cannot go on: {error}");
    }
}

fn resume_background(shared: &Shared, map: HeaderMap, ticket: Ticket, resolution: Resolution) {
    let (Ok(now), Ok(fields)) = (host::now(), HeadFields::read(map.len(), map.iter())) else { return };
    let judged = Judged { head: &fields.head(host::peer), now, store: &SharedData };
    let in_force = shared.worker.in_force(&SharedData);
    let (observations, background) = in_force.resume_background(ticket, resolution, &judged);
    shared.observe(&observations);
    shared.keep(background, map, now);
}

/// Ends a request whose caller has lost the right to it, with its answer. Another context is called, as in
/// [`resume_request`].
pub(crate) fn end(request: &Request) {
    if let Err(error) = host::set_effective_context(request.id).and_then(|()| host::reset_stream()) {
        log::error!("a stream cannot be ended: {error}");
    }
}

fn judge(shared: &Shared, request: &Rc<Request>, mut entry: Entry) -> Result<Outcome, HostError> {
    let map = host::header_map(Map::RequestHeaders, request.count.get())?;
    let now = host::now()?;
    let fields = HeadFields::read(map.len(), map.iter())?;
    let judged = Judged { head: &fields.head(host::peer), now, store: &SharedData };
    let in_force = shared.worker.in_force(&SharedData);
    loop {
        match in_force.judge(entry, &judged) {
            Next::Decide(decision, background) => {
                let outcome = carry_out(shared, request, &in_force, decision, judged.head);
                shared.keep(background, map, now);
                return Ok(outcome);
            }
            Next::Fetch(fetch, ticket) => {
                match shared.wait(*fetch, Waiter::Request(Rc::clone(request), ticket), now)? {
                    Ok(()) => return Ok(Outcome::Waits),
                    Err(Some(ticket)) => entry = Entry::Resumed(ticket, Resolution::Unavailable),
                    Err(None) => return Err(HostError::Busy),
                }
            }
        }
    }
}

fn carry_out(
    shared: &Shared,
    request: &Rc<Request>,
    in_force: &InForce<'_>,
    mut decision: Decision<'_>,
    head: &RequestHead<'_>,
) -> Outcome {
    shared.observe(&decision.follow_up.observations);
    for fetch in std::mem::take(&mut decision.follow_up.refresh) {
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
    if let Verdict::Pass(_) = decision.verdict {
        request.exchange.replace(in_force.exchange(&mut decision));
    }
    if let Verdict::Forward(_) = decision.verdict {
        request.exchange.replace(in_force.exchange(&mut decision));
        shared.begin(request);
        if !request.has_body.get()
            && let Action::Pause = upload::pass(shared, request, 0, true)
        {
            return Outcome::Waits;
        }
    }
    conclude(request, &decision)
}

/// Tells Envoy the verdict; what a rewrite changes was changed before.
fn conclude(request: &Request, decision: &Decision<'_>) -> Outcome {
    match &decision.verdict {
        Verdict::Forward(_) => Outcome::Forward,
        Verdict::Pass(passed) => {
            request.is_passed.set(true);
            if let Some((name, value)) = passed.header() {
                complain(host::set(Map::RequestHeaders, name.as_bytes(), value.as_bytes()));
            }
            Outcome::Forward
        }
        Verdict::Reply(_, local_reply) | Verdict::Answer(local_reply) => reply(local_reply),
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

/// Decides a request that could not be judged.
fn fail(shared: &Shared, request: &Request, error: &HostError) -> Outcome {
    log::error!("a request could not be judged: {error}");
    let in_force = shared.worker.in_force(&SharedData);
    let decision = in_force.host_failure();
    shared.metrics.count(&decision);
    conclude(request, &decision)
}

/// Removes the trailers of a request that can carry a credential.
fn remove_slots(shared: &Shared, request: &Request, count: usize) -> Result<(), HostError> {
    let trailers = host::header_map(Map::RequestTrailers, count)?;
    let (in_force, exchange) = (shared.worker.in_force(&SharedData), request.exchange.borrow());
    for trailer in trailers.iter() {
        let (name, _) = trailer?;
        if exchange.is_slot(name).unwrap_or_else(|| in_force.is_slot(name)) {
            host::remove(Map::RequestTrailers, name)?;
        }
    }
    Ok(())
}

/// Removes the headers of an answer that are not for the caller. Returns the reply to give in place of an answer that must
/// not be seen. What Envoy answers itself is not replaced.
fn hide(response: &ResponseHeaders, count: usize) -> Option<LocalReply> {
    let replaced = response.replaces(Answer.value(":status").as_deref()).filter(|_| Answer.is_of_upstream());
    replaced.or_else(|| {
        let error = remove_hidden(Map::ResponseHeaders, response, count).err()?;
        log::error!("an answer could not be read: {error}");
        Some(LocalReply::host_failure())
    })
}

fn remove_hidden(map: Map, response: &ResponseHeaders, count: usize) -> Result<(), HostError> {
    let lines = host::header_map(map, count)?;
    for line in lines.iter() {
        let (name, value) = line?;
        if response.hides(name, value) {
            host::remove(map, name)?;
        }
    }
    Ok(())
}

/// Ends the stream here. Where even that fails, the stream stays paused: it is never forwarded.
fn reply(reply: &LocalReply) -> Outcome {
    if let Err(error) = host::send_local_reply(reply) {
        log::error!("a reply could not be sent: {error}");
    }
    Outcome::Replied
}

/// Logs a header of an answer that could not be set, which harms only its caller.
fn complain(done: Result<(), HostError>) {
    if let Err(error) = done {
        log::warn!("an answer's header could not be set: {error}");
    }
}
