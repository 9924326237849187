//! The worker, as all its streams share it: the engine, the calls that it needs, and the requests that may end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use keyswap_core::base::Moment;
use keyswap_core::host::Store;
use keyswap_core::judge::{Decision, Observation};
use keyswap_core::services::Fetch;
use keyswap_core::worker::{Background, Ticket, Worker};

use crate::fetcher::{Fetcher, Waiter};
use crate::host::{Host, HostError, Need};
use crate::metric::Metric;
use crate::request::Request;
use crate::tally::Tally;

/// The state that all streams of a worker share.
pub struct Shared<H: Host> {
    /// The engine.
    pub worker: Worker,
    /// The host's part of the worker.
    pub host: H,
    fetcher: RefCell<Fetcher<H>>,
    tally: Tally,
    /// The requests whose exchange ends when the caller loses the right to it, by their places.
    may_end: RefCell<BTreeMap<usize, Rc<Request<H>>>>,
    /// The time at which the engine was last asked for what is due.
    pub(crate) last_round: Cell<Moment>,
}

/// Hands over the counts that would be lost with the worker.
impl<H: Host> Drop for Shared<H> {
    fn drop(&mut self) {
        self.hand_over();
    }
}

impl<H: Host> Shared<H> {
    /// Returns the state of a worker. The first [`work`](crate::work) is due at once.
    pub fn new(worker: Worker, host: H) -> Self {
        host.schedule(Need::Now);
        let (fetcher, tally, may_end, last_round) = Default::default();
        Self { worker, host, fetcher, tally, may_end, last_round }
    }

    /// Returns the memory that the workers share.
    pub fn store(&self) -> &dyn Store {
        self.host.store()
    }

    /// Notes a request whose exchange has begun.
    pub(crate) fn begin(&self, request: &Rc<Request<H>>) {
        if request.exchange.borrow().may_end()
            && let Ok(mut may_end) = self.may_end.try_borrow_mut()
        {
            H::prepare(&request.name);
            may_end.insert(request.place(), Rc::clone(request));
        }
    }

    /// Forgets a request that is over.
    pub(crate) fn leave(&self, request: &Rc<Request<H>>) {
        if let Some(key) = request.waits_for.take() {
            self.with_fetcher(|fetcher| fetcher.leave(&key, request));
        }
        if let Ok(mut may_end) = self.may_end.try_borrow_mut()
            && !may_end.is_empty()
        {
            may_end.remove(&request.place());
        }
    }

    /// Looks again at every caller whose exchange may end. Returns the requests that end now.
    pub(crate) fn look_again(&self, now: Moment) -> Vec<Rc<Request<H>>> {
        let Ok(may_end) = self.may_end.try_borrow() else { return Vec::new() };
        let in_force = self.worker.in_force(self.store());
        let has_to_end = |request: &&Rc<Request<H>>| {
            let Ok(exchange) = request.exchange.try_borrow() else { return false };
            let (ended, fetches) = in_force.look_again(&exchange, now, self.store());
            for fetch in fetches {
                self.start(fetch, now);
            }
            self.observe(ended.as_slice());
            ended.is_some()
        };
        may_end.values().filter(has_to_end).cloned().collect()
    }

    /// Removes everything that waits, and returns the requests among it.
    pub(crate) fn abandon(&self) -> Vec<Rc<Request<H>>> {
        self.with_fetcher(Fetcher::abandon)
    }

    /// Returns the requests whose exchange ends when the caller loses the right to it.
    pub(crate) fn may_end(&self) -> Vec<Rc<Request<H>>> {
        self.may_end.try_borrow().map_or_else(|_| Vec::new(), |may_end| may_end.values().cloned().collect())
    }

    /// Counts a request that the host could not have judged.
    pub fn count_failure(&self) {
        self.count(&self.worker.in_force(self.store()).host_failure());
    }

    /// Adds to a counter, of which the host hears with the next [`Shared::hand_over`].
    pub(crate) fn add(&self, metric: &Metric<'_>, by: u64) {
        self.tally.add(metric, by);
    }

    /// Hands what was counted over to the host.
    pub(crate) fn hand_over(&self) {
        self.tally.hand_over(|metric, by| self.host.count(metric, by));
    }

    /// Counts a decision. One that waits for the body of its request is counted with that.
    pub(crate) fn count(&self, decision: &Decision<'_>) {
        let (verdict, provider) = (decision.verdict_name(), decision.facts.provider);
        if !decision.is_pending() {
            self.add(&Metric::decision(verdict, decision.reason_code(), provider), 1);
        }
        if let Some(source) = decision.facts.record_source {
            self.add(&Metric::lookup(source.name()), 1);
        }
    }

    /// Counts and logs observations.
    pub(crate) fn observe(&self, observations: &[Observation]) {
        for observation in observations {
            if let Some(metric) = Metric::of_name(&observation.metric) {
                self.add(&metric, observation.count);
            }
            if let Some(line) = &observation.line {
                log::info!("{line}");
            }
        }
    }

    /// Queues a request, its body or a judgement for a fetch. Returns its ticket where too many wait already.
    pub(crate) fn wait(
        &self,
        fetch: Fetch,
        waiter: Waiter<H>,
        now: Moment,
    ) -> Result<Result<(), Option<Ticket>>, HostError> {
        if let Waiter::Request(request, _) | Waiter::Body(request) | Waiter::Answer(request) = &waiter {
            H::prepare(&request.name);
        }
        let mut fetcher = self.fetcher.try_borrow_mut().map_err(|_| HostError::Busy)?;
        let waits = fetcher.wait(fetch, waiter, now);
        self.host.schedule(fetcher.need());
        Ok(waits)
    }

    /// Keeps a head for a judgement in the background, which is given up where there is no room.
    pub(crate) fn keep(&self, background: Option<Background>, lines: H::Lines, now: Moment) {
        if let Some(Background { fetch, ticket }) = background {
            let _ = self.wait(*fetch, Waiter::Background(lines, ticket), now);
        }
    }

    /// Fetches what no request waits for.
    pub(crate) fn start(&self, fetch: Fetch, now: Moment) {
        if let Some(fetch) = self.with_fetcher(|fetcher| fetcher.start(fetch, now)) {
            self.worker.abandon(&fetch.key, now);
        }
        self.schedule();
    }

    /// Has the host call back when the worker is needed next.
    pub(crate) fn schedule(&self) {
        if let Ok(fetcher) = self.fetcher.try_borrow() {
            self.host.schedule(fetcher.need());
        }
    }

    /// Runs `work` with the fetcher. Nothing in `work` calls back, so nothing else has borrowed the fetcher.
    pub(crate) fn with_fetcher<T: Default>(&self, work: impl FnOnce(&mut Fetcher<H>) -> T) -> T {
        match self.fetcher.try_borrow_mut() {
            Ok(mut fetcher) => work(&mut fetcher),
            Err(_) => T::default(),
        }
    }
}
