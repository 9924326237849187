//! One request: its head to the engine, the decision back to Envoy, and a pause in between where something has to be
//! fetched.

use std::mem::ManuallyDrop;
use std::rc::Rc;

use keyswap_core::answer::LocalReply;
use keyswap_core::judge::{AnswerHead, Decision, Request as Judged, Rewrite, Verdict};
use keyswap_core::request::{HeadFields, RequestHead};
use keyswap_core::services::Resolution;
use keyswap_core::worker::{AnswerBody, Entry, InForce, Next, Ticket};

use crate::answer::{Answer, remove_hidden, unread};
use crate::brokered::Held;
use crate::download;
use crate::fetcher::Waiter;
use crate::host::{Action, Host, HostError, Map};
use crate::lines::Lines as _;
use crate::request::{Request, Turn};
use crate::shared::Shared;
use crate::upload;

/// A stream.
pub struct Stream<H: Host> {
    shared: Option<Rc<Shared<H>>>,
    request: Rc<Request<H>>,
    /// The body of a brokered answer.
    held: Option<Held>,
}

/// The state of a request for the host.
enum Outcome {
    Forward,
    Replied,
    Waits,
}

impl<H: Host> Stream<H> {
    /// Returns a stream of a worker; without one, every request is refused.
    pub fn new(name: H::Name, shared: Option<Rc<Shared<H>>>) -> Self {
        Self { shared, request: Rc::new(Request::new(name)), held: None }
    }

    /// Returns the worker; `None` where the stream is over, or had none.
    pub const fn worker(&self) -> Option<&Rc<Shared<H>>> {
        self.shared.as_ref()
    }

    /// Leaves the worker after a fault. The request is leaked, and nothing of it is run: its parts may not fit together any
    /// more.
    pub fn give_up(self) {
        let mut stream = ManuallyDrop::new(self);
        if let Some(shared) = stream.shared.take() {
            shared.leave(&stream.request);
        }
    }

    /// Goes on with a request that was woken. The stream is the effective one.
    pub fn go_on(&self) {
        if let Some(shared) = &self.shared {
            go_on(shared, &self.request);
        }
    }

    /// Ends the stream: charges what it took, whole or not, and leaves every list. Does nothing the second time.
    pub fn complete(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        shared.leave(&self.request);
        download::end(&shared, &self.request);
    }

    /// Takes the head of the request, of `count` lines.
    pub fn request_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        self.request.count.set(count);
        self.request.has_body.set(!end_of_stream);
        let Some(shared) = &self.shared else {
            log::error!("a request could not be judged: {}", HostError::NotConfigured);
            reply::<H>(&LocalReply::host_failure());
            return Action::Pause;
        };
        let outcome = judge(shared, &self.request, Entry::New)
            .unwrap_or_else(|error| fail(shared, &self.request, &error));
        match outcome {
            Outcome::Forward => {
                self.request.goes_on.set(true);
                Action::Continue
            }
            Outcome::Replied | Outcome::Waits => Action::Pause,
        }
    }

    /// Takes the part of the request's body that is on its way now.
    pub fn request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !self.request.goes_on.get() {
            self.request.is_whole.set(end_of_stream);
            return Action::Pause;
        }
        match &self.shared {
            Some(shared) => upload::pass(shared, &self.request, Some(size), end_of_stream),
            None => Action::Pause,
        }
    }

    /// Removes trailers that could carry a credential: none is read from a trailer, and none is let through.
    pub fn request_trailers(&mut self, count: usize) -> Action {
        if self.request.is_passed.get() {
            return Action::Continue;
        }
        let Some(shared) = &self.shared else { return Action::Pause };
        // A request that waits at its end goes on without another look at its trailers.
        if upload::remove_slots(shared, &self.request, count).is_err() {
            return Action::Pause;
        }
        if !self.request.goes_on.get() {
            self.request.is_whole.set(true);
            return Action::Pause;
        }
        upload::pass(shared, &self.request, None, true)
    }

    /// Takes the head of the answer, of `count` lines.
    pub fn response_headers(&mut self, count: usize, end_of_stream: bool) -> Action {
        let Some(shared) = &self.shared else { return Action::Continue };
        let answer = match Answer::<H>::read(self.request.exchange.borrow().response(), count) {
            Ok(answer) => answer,
            Err(error) => {
                reply::<H>(&unread(error));
                return Action::Pause;
            }
        };
        let body = download::begin(shared, &self.request, &answer, end_of_stream);
        if body == AnswerBody::Withheld {
            reply::<H>(&self.request.exchange.borrow().withheld());
            return Action::Pause;
        }
        let exchange = self.request.exchange.borrow();
        let response = exchange.response();
        if let Some(rejected) = exchange.rejected(&answer) {
            shared.observe(&[rejected]);
        }
        if exchange.has_to_learn()
            && let Ok(now) = H::now()
        {
            exchange.answered(&answer, now, shared.store());
        }
        if let Some(local_reply) = answer.hide(response) {
            reply::<H>(&local_reply);
            return Action::Pause;
        }
        let length = (body == AnswerBody::Edited && !end_of_stream).then_some("content-length");
        for name in response.remove.iter().copied().chain(length) {
            complain(H::remove(Map::ResponseHeaders, name.as_bytes()));
        }
        for (name, value) in &response.set {
            complain(H::set(Map::ResponseHeaders, name.as_bytes(), value.as_bytes()));
        }
        for (name, value) in &response.add {
            complain(H::add(Map::ResponseHeaders, name.as_bytes(), value.as_bytes()));
        }
        if exchange.is_minting() {
            let status = answer.status();
            if !exchange.holds(status, answer.is_of_upstream()) {
                return Action::Continue;
            }
            if end_of_stream {
                reply::<H>(&exchange.withheld());
                return Action::Pause;
            }
            self.held = Some(Held::Collected(status.unwrap_or_default(), Vec::new()));
        }
        Action::Continue
    }

    /// Takes the part of the answer's body that is on its way now.
    pub fn response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        match (&mut self.held, &self.shared) {
            (Some(held), _) => held.take::<H>(&self.request.exchange.borrow(), size, end_of_stream),
            (None, Some(shared)) => download::pass(shared, &self.request, size, end_of_stream),
            (None, None) => Action::Continue,
        }
    }

    /// Removes what is not for the caller from trailers, too. An answer whose trailers cannot be read is cut off.
    pub fn response_trailers(&mut self, count: usize) -> Action {
        let exchange = self.request.exchange.borrow();
        if let Some(held) = &mut self.held {
            return held.cut::<H>(&exchange);
        }
        let response = exchange.response();
        if response.hides_any()
            && let Err(error) = H::lines(Map::ResponseTrailers, count)
                .and_then(|lines| remove_hidden::<H>(Map::ResponseTrailers, response, &lines))
        {
            log::error!("the trailers of an answer could not be read: {error}");
            complain(H::reset());
            return Action::Pause;
        }
        drop(exchange);
        // The host shows trailers once, so nothing is left to do to them after a wait.
        match &self.shared {
            Some(shared) => download::finish(shared, &self.request),
            None => Action::Continue,
        }
    }
}

impl<H: Host> Drop for Stream<H> {
    fn drop(&mut self) {
        self.complete();
    }
}

/// Has a waiter go on whose fetch is done.
pub(crate) fn resume<H: Host>(shared: &Shared<H>, waiter: Waiter<H>, resolution: Resolution) {
    match waiter {
        Waiter::Request(request, ticket) => wake(shared, &request, Turn::Head(ticket, resolution)),
        Waiter::Body(request) => wake(shared, &request, Turn::Body),
        Waiter::Answer(request) => wake(shared, &request, Turn::Answer),
        Waiter::Background(lines, ticket) => resume_background(shared, lines, ticket, resolution),
    }
}

/// Wakes a request, which then goes on by [`go_on`].
pub(crate) fn wake<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>, turn: Turn) {
    request.waits_for.take();
    request.turn.set(turn);
    if H::wake(&request.name) {
        go_on(shared, request);
    }
}

fn go_on<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) {
    match request.turn.take() {
        Turn::None => {}
        Turn::Head(ticket, resolution) => {
            let outcome = judge(shared, request, Entry::Resumed(ticket, resolution));
            if let Outcome::Forward = outcome.unwrap_or_else(|error| fail(shared, request, &error)) {
                proceed(shared, request);
            }
        }
        Turn::Body => upload::resume(shared, request),
        Turn::Answer => download::resume(shared, request),
        Turn::End => {
            if let Err(error) = H::reset() {
                log::error!("a stream cannot be ended: {error}");
            }
        }
        Turn::Fail => {
            if let Outcome::Forward = fail(shared, request, &HostError::Interrupted) {
                proceed(shared, request);
            }
        }
    }
}

/// Lets a head go on that has waited, together with what has come of its body: the host lets a stream go on once.
fn proceed<H: Host>(shared: &Shared<H>, request: &Rc<Request<H>>) {
    request.goes_on.set(true);
    if let Action::Continue = upload::pass_kept(shared, request)
        && let Err(error) = H::proceed()
    {
        log::error!("a request cannot go on: {error}");
    }
}

fn resume_background<H: Host>(shared: &Shared<H>, lines: H::Lines, ticket: Ticket, resolution: Resolution) {
    let (Ok(now), Ok(fields)) = (H::now(), HeadFields::read(lines.len(), lines.iter())) else { return };
    let judged = Judged { head: &fields.head(|| None, &|_| None), now, store: shared.store() };
    let in_force = shared.worker.in_force(shared.store());
    let (observations, background) = in_force.resume_background(ticket, resolution, &judged);
    shared.observe(&observations);
    shared.keep(background, lines, now);
}

fn judge<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    mut entry: Entry,
) -> Result<Outcome, HostError> {
    let map = H::lines(Map::RequestHeaders, request.count.get())?;
    let now = H::now()?;
    let fields = HeadFields::read(map.len(), map.iter())?;
    let judged = Judged { head: &fields.head(H::peer, &H::certificate), now, store: shared.store() };
    let in_force = shared.worker.in_force(shared.store());
    request.is_told.set(in_force.tells_access_log());
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

fn carry_out<H: Host>(
    shared: &Shared<H>,
    request: &Rc<Request<H>>,
    in_force: &InForce<'_>,
    mut decision: Box<Decision<'_>>,
    head: &RequestHead<'_>,
) -> Outcome {
    shared.observe(&decision.follow_up.observations);
    for fetch in std::mem::take(&mut decision.follow_up.refresh) {
        if let Ok(now) = H::now() {
            shared.start(fetch, now);
        }
    }
    if let Verdict::Forward(rewrite) = &decision.verdict
        && let Err(error) = apply::<H>(rewrite, head.path)
    {
        log::error!("a rewrite could not be carried out: {error}");
        decision.fail();
    }
    shared.count(&decision);
    request.publish(&decision);
    // The line takes longer to write than to leave out: a host that logs less is not asked to.
    if let Verdict::Reply(..) = decision.verdict
        && log::log_enabled!(log::Level::Info)
        && let Some(line) = decision.log_line(head)
    {
        log::info!("{line}");
    }
    if let Verdict::Pass(_) = decision.verdict {
        request.exchange.replace(in_force.exchange(&mut decision));
    }
    if let Verdict::Forward(_) = decision.verdict {
        request.exchange.replace(in_force.exchange(&mut decision));
        shared.begin(request);
        if !request.has_body.get()
            && let Action::Pause = upload::pass(shared, request, None, true)
        {
            return Outcome::Waits;
        }
    }
    conclude(request, &decision)
}

/// Tells Envoy the verdict; what a rewrite changes was changed before.
fn conclude<H: Host>(request: &Request<H>, decision: &Decision<'_>) -> Outcome {
    match &decision.verdict {
        Verdict::Forward(_) => Outcome::Forward,
        Verdict::Pass(passed) => {
            request.is_passed.set(true);
            if let Some((name, value)) = passed.header() {
                complain(H::set(Map::RequestHeaders, name.as_bytes(), value.as_bytes()));
            }
            Outcome::Forward
        }
        Verdict::Reply(_, local_reply) | Verdict::Answer(local_reply) => reply::<H>(local_reply),
    }
}

/// Rewrites the head in place, with this `:path`. The route was chosen from the client's authority, so it is chosen anew.
fn apply<H: Host>(rewrite: &Rewrite<'_>, path: &[u8]) -> Result<(), HostError> {
    for name in &rewrite.remove {
        H::remove(Map::RequestHeaders, name)?;
    }
    for (name, value) in &rewrite.set {
        H::set(Map::RequestHeaders, name.as_bytes(), value)?;
    }
    H::set(Map::RequestHeaders, b":authority", rewrite.authority.as_bytes())?;
    if rewrite.path != path {
        H::set(Map::RequestHeaders, b":path", &rewrite.path)?;
    }
    H::clear_route_cache()
}

/// Decides a request that could not be judged.
fn fail<H: Host>(shared: &Shared<H>, request: &Request<H>, error: &HostError) -> Outcome {
    log::error!("a request could not be judged: {error}");
    let in_force = shared.worker.in_force(shared.store());
    let decision = in_force.host_failure();
    shared.count(&decision);
    conclude(request, &decision)
}

/// Ends the stream here. Where even that fails, the stream stays paused: it is never forwarded.
fn reply<H: Host>(reply: &LocalReply) -> Outcome {
    if let Err(error) = H::reply(reply) {
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
