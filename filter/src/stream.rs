//! One request: its head to the engine, the decision back to Envoy, and a pause in between where something has to be
//! fetched.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use keyswap_core::answer::{LocalReply, ResponseHeaders};
use keyswap_core::base::Moment;
use keyswap_core::judge::{AnswerHead, Decision, Observation, Rewrite, Sent, Verdict};
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::{Fetch, FetchKey, Resolution};
use keyswap_core::worker::{Background, Next, Rollout};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::fetcher::{Held, Waiter, Whose};
use crate::header_map::{HeaderMap, Malformed};
use crate::host::{self, HostError, Map};
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
    /// The policies that let it go on.
    judged_by: RefCell<Weak<Rollout>>,
    /// Whether it goes on as if nothing were here.
    is_passed: Cell<bool>,
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
            judged_by: RefCell::default(),
            is_passed: Cell::default(),
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
            None => Err(HostError::NotConfigured),
        };
        match outcome.unwrap_or_else(|error| fail(self.shared.as_deref(), &error)) {
            Outcome::Forward => Action::Continue,
            Outcome::Replied | Outcome::Waits => Action::Pause,
        }
    }

    /// Trailers are no place for a credential: none is read from there, and none is let through.
    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        if self.request.is_passed.get() {
            return Action::Continue;
        }
        let in_force = || self.shared.as_ref().and_then(|shared| shared.worker.rollout());
        let Some(rollout) = self.request.judged_by.borrow().upgrade().or_else(in_force) else {
            return Action::Pause;
        };
        let Ok(trailers) = host::header_map(Map::RequestTrailers, count) else { return Action::Pause };
        for trailer in trailers.iter() {
            let Ok((name, _)) = trailer else { return Action::Pause };
            if rollout.is_slot(name) && host::remove(Map::RequestTrailers, name).is_err() {
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
        let sent = self.request.sent.take();
        // A policy that is in force no longer has nothing to learn.
        if !sent.is_nothing()
            && let Some(rollout) = self.request.judged_by.borrow().upgrade()
            && let Ok(now) = host::now()
        {
            rollout.answered(sent, &Answer, now, &SharedData);
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

/// Goes on with what waited.
pub(crate) fn resume(shared: &Shared, waiter: Waiter, resolution: Resolution) {
    match waiter.whose {
        Whose::Request(request) => resume_request(shared, &request, waiter.at, resolution),
        Whose::Nobody(map) => conclude(shared, map, waiter.at, resolution),
    }
}

/// Goes on with a request that waited. Its own context was not called, so this one is put in its place.
fn resume_request(shared: &Shared, request: &Rc<Request>, at: Option<Held>, resolution: Resolution) {
    request.waits_for.take();
    // A request that is over has left the list; were it there all the same, the host would say so here.
    if let Err(error) = host::set_effective_context(request.id) {
        log::error!("a request that waited is gone: {error}");
        return;
    }
    let outcome = judge(shared, request, Some((at, resolution)));
    if let Outcome::Forward = outcome.unwrap_or_else(|error| fail(Some(shared), &error))
        && let Err(error) = host::continue_request()
    {
        log::error!("a request cannot go on: {error}");
    }
}

/// Goes on with a judgement that only tells something. One that another policy began tells nothing any more.
fn conclude(shared: &Shared, map: HeaderMap, at: Option<Held>, resolution: Resolution) {
    let (Some(Held { rollout, waiting }), Ok(now)) = (at, host::now()) else { return };
    let Ok(fields) = Fields::of(&map) else { return };
    let (observations, aside) = rollout.conclude(waiting, resolution, &fields.head(), now, &SharedData);
    shared.tell(&observations);
    shared.put_aside(aside, &rollout, map, now);
}

fn judge(
    shared: &Shared,
    request: &Rc<Request>,
    resumed: Option<(Option<Held>, Resolution)>,
) -> Result<Outcome, HostError> {
    let map = host::header_map(Map::RequestHeaders, request.count.get())?;
    let now = host::now()?;
    let Some(rollout) = shared.worker.rollout().or_else(|| shared.listen()) else {
        return await_policy(shared, request, resumed.is_some(), now);
    };
    let fields = Fields::of(&map)?;
    let head = fields.head();
    let mut judged = match resumed {
        // What another policy began is begun anew.
        Some((Some(at), resolution)) if Rc::ptr_eq(&at.rollout, &rollout) => {
            rollout.resume(at.waiting, resolution, &head, now, &SharedData)
        }
        _ => rollout.begin(&head, now, &SharedData),
    };
    let (outcome, aside) = loop {
        shared.tell(&judged.observations);
        match judged.next {
            Next::Decide(decision) => {
                break (carry_out(shared, request, &rollout, &head, decision), judged.aside);
            }
            Next::Wait(fetch, waiting) => {
                let at = Some(Held { rollout: Rc::clone(&rollout), waiting });
                let waiter = Waiter { whose: Whose::Request(Rc::clone(request)), at };
                match shared.wait(*fetch, waiter, now)? {
                    None => return Ok(Outcome::Waits),
                    Some(Waiter { at: Some(Held { waiting, .. }), .. }) => {
                        judged = rollout.resume(waiting, Resolution::Unavailable, &head, now, &SharedData);
                    }
                    Some(Waiter { at: None, .. }) => return Err(HostError::Busy),
                }
            }
        }
    };
    shared.put_aside(aside, &rollout, map, now);
    Ok(outcome)
}

/// Has a request wait for the first policy; once it has waited, there is none to be had.
fn await_policy(
    shared: &Shared,
    request: &Rc<Request>,
    has_waited: bool,
    now: Moment,
) -> Result<Outcome, HostError> {
    if !has_waited && let Some(fetch) = shared.worker.first_policy(now) {
        let waiter = Waiter { whose: Whose::Request(Rc::clone(request)), at: None };
        if shared.wait(fetch, waiter, now)?.is_none() {
            return Ok(Outcome::Waits);
        }
    }
    shared.tell(&[Observation::no_policy()]);
    Ok(reply(&LocalReply::no_policy()))
}

/// The fields of a head, found in one walk.
struct Fields<'a> {
    method: &'a [u8],
    path: &'a [u8],
    authority: &'a [u8],
    headers: Vec<Header<'a>>,
}

impl<'a> Fields<'a> {
    fn of(map: &'a HeaderMap) -> Result<Self, Malformed> {
        let headers = Vec::with_capacity(map.len());
        let mut fields = Self { method: b"", path: b"", authority: b"", headers };
        for pair in map.iter() {
            let (name, value) = pair?;
            match name {
                // They come first: one behind a header is none that Envoy goes by.
                [b':', ..] if !fields.headers.is_empty() => {
                    return Err(Malformed);
                }
                b":method" => fields.method = value,
                b":path" => fields.path = value,
                b":authority" => fields.authority = value,
                [b':', ..] => {}
                _ => fields.headers.push(Header { name, value }),
            }
        }
        Ok(fields)
    }

    fn head(&self) -> RequestHead<'_> {
        let Self { method, path, authority, headers } = self;
        RequestHead { method, path, authority, headers, peer: host::peer }
    }
}

fn carry_out(
    shared: &Shared,
    request: &Request,
    rollout: &Rc<Rollout>,
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
            request.judged_by.replace(Rc::downgrade(rollout));
            Outcome::Forward
        }
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

impl Shared {
    /// The policy that another worker has taken.
    fn listen(&self) -> Option<Rc<Rollout>> {
        self.worker.listen(&SharedData).iter().for_each(|note| log::warn!("{note}"));
        self.worker.rollout()
    }

    fn tell(&self, observations: &[Observation]) {
        for observation in observations {
            self.metrics.observe(observation);
            if let Some(line) = &observation.line {
                log::info!("{line}");
            }
        }
    }

    /// Has somebody wait for a fetch; where there are too many already the waiter comes back.
    fn wait(&self, fetch: Fetch, waiter: Waiter, now: Moment) -> Result<Option<Waiter>, HostError> {
        let mut fetcher = self.fetcher.try_borrow_mut().map_err(|_| HostError::Busy)?;
        Ok(fetcher.wait(fetch, waiter, now))
    }

    /// Keeps a head for a judgement that only tells something. Where there is no room it tells nothing.
    fn put_aside(&self, aside: Option<Background>, rollout: &Rc<Rollout>, map: HeaderMap, now: Moment) {
        if let Some(Background { fetch, waiting }) = aside {
            let at = Some(Held { rollout: Rc::clone(rollout), waiting });
            let _ = self.wait(fetch, Waiter { whose: Whose::Nobody(map), at }, now);
        }
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

fn fail(shared: Option<&Shared>, error: &HostError) -> Outcome {
    log::error!("a request could not be judged: {error}");
    if let Some(shared) = shared {
        shared.tell(&[Observation::host_failure()]);
    }
    match shared.and_then(|shared| shared.worker.rollout()) {
        Some(rollout) if rollout.decides_nothing() => Outcome::Forward,
        _ => reply(&LocalReply::host_failure()),
    }
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
