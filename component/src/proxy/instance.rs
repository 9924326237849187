//! The state of an instance for all its requests: the worker, and calls that go on between them.
//!
//! A call that no request waits for is started behind an answer. Its own answer is taken when the next request comes,
//! so no caller ever waits for it. A call that outlives its instance is lost, but for those that tell what a request took:
//! the instance waits for these.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use keyswap_core::answer::LocalReply;
use keyswap_core::base::Moment;
use keyswap_core::host::Forgetful;
use keyswap_core::judge::{Decision, Observation, Request, Verdict};
use keyswap_core::request::OwnedHead;
use keyswap_core::services::{Fetch, FetchKey, Resolution};
use keyswap_core::worker::{Background, Exchange, InForce, Worker};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use super::call::Call;
use super::exchange::{Sending, Unanswered, Unsent, judge_nothing};
use super::host::{log, now};
use super::reached::Reached;
use super::{configuration, reply};

/// The most calls at once that no request waits for.
const MAX_CALLS: usize = 16;
/// The time between two looks for due calls, where requests come as often.
const DUE_INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Instance {
    worker: Worker,
    /// Set where the policy was fetched once, of a policy that is fetched.
    has_asked: Cell<bool>,
    calls: RefCell<Vec<Call>>,
    /// The moment of the last look for due calls.
    looked: Cell<Moment>,
    reached: Reached,
}

impl Instance {
    /// Runs `work` with the instance, whose policy is compiled for the first request; with `None` where that has
    /// errors.
    pub(super) fn with<T>(work: impl FnOnce(Option<&Self>) -> T) -> T {
        thread_local! {
            static INSTANCE: OnceCell<Option<Instance>> = const { OnceCell::new() };
        }
        INSTANCE.with(|instance| work(instance.get_or_init(Self::new).as_ref()))
    }

    fn new() -> Option<Self> {
        match configuration::compile() {
            Ok(worker) => Some(Self {
                worker,
                has_asked: Cell::default(),
                calls: RefCell::default(),
                looked: Cell::default(),
                reached: Reached::default(),
            }),
            Err(lines) => {
                log(lines);
                None
            }
        }
    }

    /// Serves a request, and starts due calls behind its answer.
    pub(super) fn serve(&self, incoming: &IncomingRequest, head: &OwnedHead, out: ResponseOutparam) {
        self.collect();
        self.await_policy();
        let in_force = self.worker.in_force(&Forgetful);
        let lines = head.lines();
        let request = Request { head: &head.with(&lines), now: now(), store: &Forgetful };
        let (mut decision, background) = in_force.decide(&request, &mut |fetch| (self.fetch(*fetch), now()));
        observe(std::mem::take(&mut decision.follow_up.observations));
        let refresh = std::mem::take(&mut decision.follow_up.refresh);
        self.carry_out(&in_force, decision, incoming, head, &request, out);
        self.finish(&in_force, background, &request);
        let is_time = !request.now.is_within(DUE_INTERVAL, self.looked.get());
        if is_time || !refresh.is_empty() {
            self.start(refresh);
        }
    }

    /// Fetches the policy, where it is one that is fetched.
    ///
    /// An instance may live for one request, so its first one waits even where an initial policy is in force. Otherwise
    /// the initial policy would be the only one that is ever in force.
    fn await_policy(&self) {
        let is_first = !self.has_asked.replace(true);
        let is_needed = is_first || !self.worker.has_policy();
        if let Some(fetch) = is_needed.then(|| self.worker.first_policy(now())).flatten() {
            self.fetch(fetch);
        }
    }

    fn carry_out(
        &self,
        in_force: &InForce<'_>,
        mut decision: Box<Decision<'_>>,
        incoming: &IncomingRequest,
        head: &OwnedHead,
        request: &Request<'_, '_>,
        out: ResponseOutparam,
    ) {
        log(decision.log_line(request.head));
        let exchange = RefCell::new(in_force.exchange(&mut decision));
        match &decision.verdict {
            Verdict::Forward(rewrite) => {
                let authority = rewrite.authority;
                let is_reached = self.reached.lately(authority, request.now);
                let fetch = |fetch: Fetch| {
                    self.fetch(fetch);
                };
                let judge_nothing = || judge_nothing(&exchange, &fetch);
                match Sending::start(incoming, request.head, rewrite, is_reached, judge_nothing) {
                    Ok(sending) => {
                        let answered = || self.reached.note(authority, request.now);
                        sending.carry(&exchange, authority, head, out, answered, &fetch);
                        return self.conclude(&exchange);
                    }
                    Err(Unsent::Refused(refusal)) => {
                        reply::send(out, &refusal, head);
                        return self.conclude(&exchange);
                    }
                    Err(Unsent::Unsendable) => {}
                }
            }
            // This host cannot let a request pass, so it accepts no policy in shadow mode.
            Verdict::Pass(_) => {}
            Verdict::Reply(_, local_reply) | Verdict::Answer(local_reply) => {
                return reply::send(out, local_reply, head);
            }
        }
        decision.fail();
        log(decision.log_line(request.head));
        reply::send(out, &LocalReply::host_failure(), head);
        // One without a body may have reserved already.
        exchange.borrow_mut().begin_answer(&Unanswered);
        self.conclude(&exchange);
    }

    /// Ends an exchange, and tells what it took.
    fn conclude(&self, exchange: &RefCell<Exchange>) {
        observe(exchange.borrow_mut().end(now(), &Forgetful).observations);
        self.report(exchange.borrow().reports(now(), &Forgetful));
    }

    /// Goes on with a judgement in the background until it ends. The caller has its answer.
    fn finish(&self, in_force: &InForce<'_>, mut background: Option<Background>, request: &Request<'_, '_>) {
        while let Some(Background { fetch, ticket }) = background {
            let resolution = self.fetch(*fetch);
            let (observations, next) =
                in_force.resume_background(ticket, resolution, &Request { now: now(), ..*request });
            observe(observations);
            background = next;
        }
    }

    /// Makes a call that a request waits for. Where a call of the same key is on its way, it waits for that.
    fn fetch(&self, fetch: Fetch) -> Resolution {
        let mut call = match self.take(&fetch.key) {
            Some(call) => call,
            None if self.worker.may_call(&fetch.key, now()) => Call::start(fetch),
            None => return Resolution::Unavailable,
        };
        call.wait();
        self.settle(&call)
    }

    /// Makes the calls that tell what a request took, all at once, and waits for them: the instance may end behind it. The
    /// caller has its answer.
    fn report(&self, reports: Vec<Fetch>) {
        let mut calls = Vec::new();
        for fetch in reports {
            if self.worker.may_call(&fetch.key, now()) {
                calls.push(Call::start(fetch));
            } else {
                self.worker.abandon(&fetch.key, now());
            }
        }
        for mut call in calls {
            call.wait();
            self.settle(&call);
        }
    }

    fn settle(&self, call: &Call) -> Resolution {
        let accepted = self.worker.accept(&call.key, call.as_of, &call.answer(), now(), &Forgetful);
        let (resolution, lines) = accepted.into_parts(&call.key);
        log(lines);
        resolution
    }

    /// Takes the answers that have come since the last request.
    fn collect(&self) {
        // `calls` is not borrowed while the worker is called.
        let calls = self.calls.take();
        for mut call in calls {
            if call.is_over() {
                self.settle(&call);
            } else {
                self.keep(call);
            }
        }
    }

    /// Starts the calls that are due.
    fn start(&self, refresh: Vec<Fetch>) {
        let now = now();
        self.looked.set(now);
        let due = self.worker.due(now, &Forgetful);
        log(due.notes);
        for fetch in refresh.into_iter().chain(due.fetches) {
            if self.may_start(&fetch.key) && self.worker.may_call(&fetch.key, now) {
                self.keep(Call::start(fetch));
            } else {
                self.worker.abandon(&fetch.key, now);
            }
        }
    }

    fn may_start(&self, key: &FetchKey) -> bool {
        self.calls
            .try_borrow()
            .is_ok_and(|calls| calls.len() < MAX_CALLS && calls.iter().all(|call| call.key != *key))
    }

    fn keep(&self, call: Call) {
        if let Ok(mut calls) = self.calls.try_borrow_mut() {
            calls.push(call);
        }
    }

    fn take(&self, key: &FetchKey) -> Option<Call> {
        let mut calls = self.calls.try_borrow_mut().ok()?;
        let place = calls.iter().position(|call| call.key == *key)?;
        Some(calls.swap_remove(place))
    }
}

/// Logs observations; this host has no counters.
fn observe(observations: Vec<Observation>) {
    log(observations.into_iter().filter_map(|observation| observation.line));
}
