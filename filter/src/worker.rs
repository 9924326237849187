//! The worker of a VM, as all its streams share it: the engine, the calls that it needs, and the counters.

use std::cell::{Cell, RefCell};

use keyswap_core::base::Moment;
use keyswap_core::judge::Observation;
use keyswap_core::services::Fetch;
use keyswap_core::worker::{Background, Ticket, Worker};

use crate::fetcher::{Fetcher, Waiter};
use crate::header_map::HeaderMap;
use crate::host::HostError;
use crate::metrics::Metrics;

/// The state that all streams of a worker share.
pub(crate) struct Shared {
    pub(crate) worker: Worker,
    pub(crate) metrics: Metrics,
    fetcher: RefCell<Fetcher>,
    /// The time at which the engine was last asked for what is due.
    pub(crate) last_round: Cell<Moment>,
}

impl Shared {
    pub(crate) fn new(worker: Worker) -> Self {
        let (fetcher, last_round) = (RefCell::default(), Cell::default());
        Self { worker, metrics: Metrics::default(), fetcher, last_round }
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

    /// Queues a request or a judgement for a fetch. Returns its ticket where too many wait already.
    pub(crate) fn wait(
        &self,
        fetch: Fetch,
        waiter: Waiter,
        now: Moment,
    ) -> Result<Result<(), Ticket>, HostError> {
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
