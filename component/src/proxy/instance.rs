//! What an instance has for all its requests: the worker, and calls that go on between them.
//!
//! A call that nobody waits for is started behind an answer, and its own answer taken when the next request comes: the
//! host carries it meanwhile, so no caller ever waits for it. Where the instance ends first, it was for nothing.

use std::cell::{Cell, OnceCell, RefCell};
use std::time::Duration;

use keyswap_core::answer::LocalReply;
use keyswap_core::base::Moment;
use keyswap_core::host::Forgetful;
use keyswap_core::judge::{Decision, Observation, Verdict};
use keyswap_core::request::RequestHead;
use keyswap_core::services::{Fetch, FetchKey, Resolution};
use keyswap_core::worker::{Background, Judged, Next, Rollout, Worker};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use super::call::Call;
use super::exchange::Sending;
use super::reached::Reached;
use super::{configuration, now, reply, tell};
use crate::head::Head;

/// So many calls that nobody waits for go on at once.
const MOST_CALLS: usize = 16;
/// So often it looks for what is due, where requests come as often.
const OFTEN: Duration = Duration::from_secs(1);

pub(super) struct Instance {
    worker: Worker,
    /// Whether the policy was asked for, where it is one that is fetched.
    has_asked: Cell<bool>,
    calls: RefCell<Vec<Call>>,
    /// When it looked last for what is due.
    looked: Cell<Moment>,
    reached: Reached,
}

/// A request that was judged.
struct Asked<'r> {
    request: &'r IncomingRequest,
    head: &'r Head,
    borrowed: &'r RequestHead<'r>,
    /// When judging began.
    begun: Moment,
}

impl Instance {
    /// The instance, whose policy is compiled when the first request comes; `None` where that does not hold.
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
                tell(lines);
                None
            }
        }
    }

    /// Serves a request, and looks after what is due when its answer is on its way.
    pub(super) fn serve(&self, request: &IncomingRequest, head: &Head, out: ResponseOutparam) {
        self.collect();
        self.await_policy();
        let Some(rollout) = self.worker.rollout() else {
            return reply::send(out, &LocalReply::no_policy(), head);
        };
        let lines = head.lines();
        let borrowed = head.with(&lines);
        let begun = now();
        let (mut decision, aside) = self.decide(&rollout, &borrowed, begun);
        let refresh = std::mem::take(&mut decision.refresh);
        let asked = Asked { request, head, borrowed: &borrowed, begun };
        self.carry_out(&rollout, decision, &asked, out);
        self.conclude(&rollout, aside, &borrowed);
        let is_time = !begun.is_within(OFTEN, self.looked.get());
        if is_time || !refresh.is_empty() {
            self.start(refresh);
        }
    }

    /// Fetches the policy, where it is one that is fetched. An instance may live for one request, so its first one waits
    /// even where another policy stands in meanwhile; else that would be the only one that is ever in force.
    fn await_policy(&self) {
        let is_first = !self.has_asked.replace(true);
        let is_needed = is_first || self.worker.rollout().is_none();
        if let Some(fetch) = is_needed.then(|| self.worker.first_policy(now())).flatten() {
            self.fetch(fetch);
        }
    }

    fn decide<'a>(
        &self,
        rollout: &'a Rollout,
        head: &RequestHead<'a>,
        begun: Moment,
    ) -> (Decision<'a>, Option<Background>) {
        let mut judged = rollout.begin(head, begun, &Forgetful);
        loop {
            let Judged { next, observations, aside } = judged;
            tell_of(observations);
            match next {
                Next::Decide(decision) => return (decision, aside),
                Next::Wait(fetch, waiting) => {
                    let resolution = self.fetch(*fetch);
                    judged = rollout.resume(waiting, resolution, head, now(), &Forgetful);
                }
            }
        }
    }

    fn carry_out(&self, rollout: &Rollout, decision: Decision<'_>, asked: &Asked<'_>, out: ResponseOutparam) {
        let Asked { request, head, borrowed, begun } = *asked;
        tell(decision.log_line(borrowed));
        match &decision.verdict {
            Verdict::Forward(rewrite) => {
                let is_reached = self.reached.lately(rewrite.authority, begun);
                if let Ok(sending) = Sending::start(request, borrowed, rewrite, is_reached) {
                    let answered = || self.reached.note(rewrite.authority, begun);
                    return sending.carry(rollout, &decision, head, out, answered);
                }
            }
            // There is nowhere that it could go on to, which is why no policy that says so is accepted.
            Verdict::Pass(_) => {}
            Verdict::Reply(_, local_reply) | Verdict::Answer(local_reply) => {
                return reply::send(out, local_reply, head);
            }
        }
        tell(decision.failed().log_line(borrowed));
        reply::send(out, &LocalReply::host_failure(), head);
    }

    /// Comes to the end of a judgement that only tells something. The caller has its answer.
    fn conclude(&self, rollout: &Rollout, mut aside: Option<Background>, head: &RequestHead<'_>) {
        while let Some(Background { fetch, waiting }) = aside {
            let resolution = self.fetch(fetch);
            let (observations, next) = rollout.conclude(waiting, resolution, head, now(), &Forgetful);
            tell_of(observations);
            aside = next;
        }
    }

    /// Makes a call that is waited for, or waits for the one of the same key that is on its way.
    fn fetch(&self, fetch: Fetch) -> Resolution {
        let mut call = match self.take(&fetch.key) {
            Some(call) => call,
            None if self.worker.may_call(&fetch.key, now()) => Call::start(fetch),
            None => return Resolution::Unavailable,
        };
        call.wait();
        self.settle(&call)
    }

    fn settle(&self, call: &Call) -> Resolution {
        let accepted = self.worker.accept(&call.key, call.asked, &call.answer(), now(), &Forgetful);
        let resolution = accepted.resolution.clone();
        tell(accepted.lines(&call.key));
        resolution
    }

    /// Takes the answers that have come since.
    fn collect(&self) {
        // Nothing is borrowed while something is called.
        let calls = self.calls.take();
        for mut call in calls {
            if call.is_over() {
                self.settle(&call);
            } else {
                self.keep(call);
            }
        }
    }

    /// Starts what is due.
    fn start(&self, refresh: Vec<Fetch>) {
        let now = now();
        self.looked.set(now);
        let due = self.worker.due(now, &Forgetful);
        tell(due.notes);
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
            .is_ok_and(|calls| calls.len() < MOST_CALLS && calls.iter().all(|call| call.key != *key))
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

/// Nobody counts in this host, so what would be a metric alone is not told.
fn tell_of(observations: Vec<Observation>) {
    tell(observations.into_iter().filter_map(|observation| observation.line));
}
