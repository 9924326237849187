//! The worker of a VM, as all its streams share it: the engine, the calls that it needs, and the counters.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use keyswap_core::base::Moment;
use keyswap_core::judge::Observation;
use keyswap_core::services::Fetch;
use keyswap_core::worker::{Background, Ticket, Worker};

use crate::fetcher::{Fetcher, Waiter};
use crate::header_map::HeaderMap;
use crate::host::HostError;
use crate::metrics::Metrics;
use crate::request::Request;
use crate::store::SharedData;

/// The state that all streams of a worker share.
pub(crate) struct Shared {
    pub(crate) worker: Worker,
    pub(crate) metrics: Metrics,
    fetcher: RefCell<Fetcher>,
    /// The requests whose exchange ends when the caller loses the right to it, by their contexts.
    may_end: RefCell<BTreeMap<u32, Rc<Request>>>,
    /// The time at which the engine was last asked for what is due.
    pub(crate) last_round: Cell<Moment>,
}

impl Shared {
    pub(crate) fn new(worker: Worker) -> Self {
        let (fetcher, may_end, last_round) = Default::default();
        Self { worker, metrics: Metrics::default(), fetcher, may_end, last_round }
    }

    /// Notes a request whose exchange has begun.
    pub(crate) fn begin(&self, request: &Rc<Request>) {
        if request.exchange.borrow().may_end()
            && let Ok(mut may_end) = self.may_end.try_borrow_mut()
        {
            may_end.insert(request.id, Rc::clone(request));
        }
    }

    /// Forgets a request that is over.
    pub(crate) fn forget(&self, request: &Request) {
        if let Ok(mut may_end) = self.may_end.try_borrow_mut() {
            may_end.remove(&request.id);
        }
    }

    /// Looks again at every caller whose exchange may end. Returns the requests that end now.
    pub(crate) fn look_again(&self, now: Moment) -> Vec<Rc<Request>> {
        let Ok(may_end) = self.may_end.try_borrow() else { return Vec::new() };
        let in_force = self.worker.in_force(&SharedData);
        let has_to_end = |request: &&Rc<Request>| {
            let (ended, fetches) = in_force.look_again(&request.exchange.borrow(), now, &SharedData);
            for fetch in fetches {
                self.start(fetch, now);
            }
            self.observe(ended.as_slice());
            ended.is_some()
        };
        may_end.values().filter(has_to_end).cloned().collect()
    }

    /// Counts and logs observations.
    pub(crate) fn observe(&self, observations: &[Observation]) {
        for observation in observations {
            self.metrics.observe(observation);
            if let Some(line) = &observation.line {
                log::info!("{line}");
            }
        }
    }

    /// Queues a request, its body or a judgement for a fetch. Returns its ticket where too many wait already.
    pub(crate) fn wait(
        &self,
        fetch: Fetch,
        waiter: Waiter,
        now: Moment,
    ) -> Result<Result<(), Option<Ticket>>, HostError> {
        let mut fetcher = self.fetcher.try_borrow_mut().map_err(|_| HostError::Busy)?;
        Ok(fetcher.wait(fetch, waiter, now))
    }

    /// Keeps a head for a judgement in the background, which is given up where there is no room.
    pub(crate) fn keep(&self, background: Option<Background>, map: HeaderMap, now: Moment) {
        if let Some(Background { fetch, ticket }) = background {
            let _ = self.wait(*fetch, Waiter::Background(map, ticket), now);
        }
    }

    /// Fetches what no request waits for.
    pub(crate) fn start(&self, fetch: Fetch, now: Moment) {
        if let Some(fetch) = self.with_fetcher(|fetcher| fetcher.start(fetch, now)) {
            self.worker.abandon(&fetch.key, now);
        }
    }

    /// Runs `work` with the fetcher. Nothing in `work` calls back, so nothing else has borrowed the fetcher.
    pub(crate) fn with_fetcher<T: Default>(&self, work: impl FnOnce(&mut Fetcher) -> T) -> T {
        match self.fetcher.try_borrow_mut() {
            Ok(mut fetcher) => work(&mut fetcher),
            Err(_) => T::default(),
        }
    }
}
