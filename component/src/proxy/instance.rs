//! What an instance has for all its requests: the engine, and calls that go on between them.
//!
//! A call that nobody waits for is started behind an answer, and its own answer taken when the next request comes: the
//! host carries it meanwhile, so no caller ever waits for it. Where the instance ends first, it was for nothing.

use std::cell::{OnceCell, RefCell};

use keyswap_core::{
    Decision, Engine, Fetch, FetchKey, Field, Forgetful, LocalReply, RequestHead, Resolution, Step, Verdict,
};
use wasip2::http::types::{Fields, IncomingRequest, ResponseOutparam};

use super::call::Call;
use super::exchange::Sending;
use super::{configuration, now, reply, tell};
use crate::head::Head;

/// So many calls that nobody waits for go on at once.
const MOST_CALLS: usize = 16;

pub(super) struct Instance {
    pub(super) engine: Engine,
    calls: RefCell<Vec<Call>>,
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
            Ok(engine) => Some(Self { engine, calls: RefCell::default() }),
            Err(lines) => {
                tell(lines);
                None
            }
        }
    }

    /// Serves a request, and looks after what is due when its answer is on its way.
    pub(super) fn serve(&self, request: &IncomingRequest, head: &Head, out: ResponseOutparam) {
        self.collect();
        let lines = head.lines();
        let borrowed = head.with(&lines);
        let mut decision = self.decide(&borrowed);
        let refresh = std::mem::take(&mut decision.refresh);
        self.carry_out(decision, request, head, &borrowed, out);
        self.start(refresh);
    }

    fn carry_out(
        &self,
        decision: Decision<'_>,
        request: &IncomingRequest,
        head: &Head,
        borrowed: &RequestHead<'_>,
        out: ResponseOutparam,
    ) {
        tell(decision.log_line(borrowed));
        let rewrite = match &decision.verdict {
            Verdict::Forward(rewrite) => rewrite,
            Verdict::Reply(_, local_reply) | Verdict::Answer(local_reply) => {
                return reply::send(out, local_reply, head);
            }
        };
        if let Ok(sending) = Sending::start(request, borrowed, rewrite) {
            return sending.carry(self, &decision, head, out);
        }
        tell(decision.failed().log_line(borrowed));
        reply::send(out, &LocalReply::host_failure(), head);
    }

    fn decide<'a>(&'a self, head: &RequestHead<'a>) -> Decision<'a> {
        let mut step = self.engine.begin(head, now(), &Forgetful);
        loop {
            match step {
                Step::Decide(decision) => return decision,
                Step::Fetch(fetch, pending) => {
                    let resolution = self.fetch(*fetch);
                    step = self.engine.resume(pending, resolution, head, now(), &Forgetful);
                }
            }
        }
    }

    /// Makes a call that a request waits for, or waits for the one of the same key that is on its way.
    fn fetch(&self, fetch: Fetch) -> Resolution {
        let mut call = match self.take(&fetch.key) {
            Some(call) => call,
            None if self.engine.may_call(&fetch.key, now()) => Call::start(fetch),
            None => return Resolution::Unavailable,
        };
        call.wait();
        self.settle(&call)
    }

    /// The trailers of a request without those that may carry a credential.
    pub(super) fn request_trailers(&self, lines: &[Field<'_>]) -> Option<Fields> {
        reply::fields(lines.iter().copied().filter(|(name, _)| !self.engine.is_slot(name))).ok()
    }

    fn settle(&self, call: &Call) -> Resolution {
        let accepted = self.engine.accept(&call.key, call.asked, &call.answer(), now(), &Forgetful);
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
        for fetch in refresh.into_iter().chain(self.engine.due(now, &Forgetful)) {
            if self.may_start(&fetch.key) && self.engine.may_call(&fetch.key, now) {
                self.keep(Call::start(fetch));
            } else {
                self.engine.abandon(&fetch.key, now);
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
