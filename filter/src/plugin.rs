//! The plugin: the worker of a VM, made when Envoy configures it, and the calls that its requests need.
//!
//! A configuration with errors is refused as a whole, and Envoy with it refuses its own.

use std::rc::Rc;
use std::time::Duration;

use keyswap_core::base::Moment;
use keyswap_core::host::Capabilities;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::services::{Fetch, FetchAnswer, FetchKey, Resolution};
use keyswap_core::worker::Worker;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::environment::HostEnvironment;
use crate::fetcher::{Call, Fetcher};
use crate::host;
use crate::store::{SharedData, seed};
use crate::stream::{self, Stream};
use crate::verifier::EnvoyVerifier;
use crate::worker::Shared;

/// The least time between two questions to the engine for what is due.
const ROUND_INTERVAL: Duration = Duration::from_millis(900);

/// The root context.
pub(crate) struct Plugin {
    id: u32,
    /// `None` until a policy was accepted: streams that come before are refused.
    shared: Option<Rc<Shared>>,
}

impl Plugin {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, shared: None }
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, number: u32, headers: usize, body: usize, _trailers: usize) {
        let Some(shared) = &self.shared else { return };
        let Some(call) = shared.with_fetcher(|fetcher| fetcher.answered(number)) else { return };
        let response = host::call_response(headers, body);
        let answer = response.as_ref().map(|(status, body)| (*status, body.as_slice()));
        self.settle(shared, &call, &answer.into());
        self.work(shared);
    }
}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
        match compile() {
            Ok(worker) => {
                if let Err(error) = seed() {
                    log::error!("the shared data cannot be prepared: {error}");
                    return false;
                }
                let shared = Shared::new(worker);
                shared.with_fetcher(Fetcher::begin);
                self.shared = Some(Rc::new(shared));
                true
            }
            Err(errors) => {
                for error in &errors.0 {
                    log::error!("{error}");
                }
                log::error!(
                    "the policy has {} error(s); `keyswap policy check` shows the same",
                    errors.0.len()
                );
                false
            }
        }
    }

    fn on_tick(&mut self) {
        if let Some(shared) = &self.shared {
            self.work(shared);
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, self.shared.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Plugin {
    /// Makes the calls that are due.
    fn work(&self, shared: &Shared) {
        let Ok(now) = host::now() else { return };
        if !now.is_within(ROUND_INTERVAL, shared.last_round.get()) {
            shared.last_round.set(now);
            let due = shared.worker.due(now, &SharedData);
            due.notes.iter().for_each(|note| log::warn!("{note}"));
            for fetch in due.fetches {
                shared.start(fetch, now);
            }
            self.end_revoked(shared, now);
        }
        while let Some(fetch) = shared.with_fetcher(|fetcher| fetcher.overdue(now)) {
            shared.worker.abandon(&fetch.key, now);
            self.resolve(shared, &fetch.key, &Resolution::Unavailable);
        }
        while let Some(fetch) = shared.with_fetcher(Fetcher::next) {
            if shared.worker.may_call(&fetch.key, now) {
                self.call(shared, fetch);
            } else {
                self.resolve(shared, &fetch.key, &Resolution::Unavailable);
            }
        }
        shared.with_fetcher(Fetcher::schedule);
    }

    /// Ends the requests whose callers have lost the right to them.
    fn end_revoked(&self, shared: &Shared, now: Moment) {
        let ended = shared.look_again(now);
        if ended.is_empty() {
            return;
        }
        for request in ended {
            stream::end(&request);
        }
        self.be_effective();
    }

    /// Makes the root context the effective one again.
    fn be_effective(&self) {
        if let Err(error) = host::set_effective_context(self.id) {
            log::error!("cannot restore the root context: {error}");
        }
    }

    /// Makes a call. A call that cannot even be made has failed.
    fn call(&self, shared: &Shared, fetch: Fetch) {
        let call = Call { key: fetch.key, as_of: fetch.as_of };
        match host::dispatch(&fetch.request) {
            Ok(number) => shared.with_fetcher(|fetcher| fetcher.called(number, call)),
            Err(error) => {
                log::error!("cannot call the cluster `{}`: {error}", fetch.request.cluster);
                self.settle(shared, &call, &FetchAnswer::Failed);
            }
        }
    }

    fn settle(&self, shared: &Shared, call: &Call, answer: &FetchAnswer<'_>) {
        let Ok(now) = host::now() else { return self.resolve(shared, &call.key, &Resolution::Unavailable) };
        let accepted = shared.worker.accept(&call.key, call.as_of, answer, now, &SharedData);
        shared.metrics.count_fetch(call.key.kind(), accepted.outcome);
        let (resolution, lines) = accepted.into_parts(&call.key);
        lines.for_each(|line| log::warn!("{line}"));
        self.resolve(shared, &call.key, &resolution);
    }

    /// Resumes every request that waits for this key.
    fn resolve(&self, shared: &Shared, key: &FetchKey, resolution: &Resolution) {
        let waiters = shared.with_fetcher(|fetcher| fetcher.release(key));
        if waiters.is_empty() {
            return;
        }
        for waiter in waiters {
            stream::resume(shared, waiter, resolution.clone());
        }
        self.be_effective();
    }
}

fn compile() -> Result<Worker, PolicyErrors> {
    let (configuration, name) = (host::plugin_configuration(), host::node_id());
    Worker::start(
        &configuration,
        Box::new(HostEnvironment),
        Box::new(EnvoyVerifier),
        Capabilities::ENVOY,
        &name,
    )
}
