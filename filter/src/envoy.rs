//! Envoy, by proxy-wasm, as the host of a worker's streams.

use std::cell::Cell;
use std::net::IpAddr;

use keyswap_core::answer::LocalReply;
use keyswap_core::base::Moment;
use keyswap_core::host::Store;
use keyswap_core::request::CertificatePart;
use keyswap_core::services::FetchRequest;
use keyswap_streams::{Body, GAUGES, Host, HostError, Map, Metric, Need, WATCHED};

use crate::counters::{Counters, Gauges};
use crate::header_map::HeaderMap;
use crate::host;
use crate::store::SharedData;

/// Milliseconds between two calls of the root context: when a call is to be made, when calls wait for others to end,
/// and otherwise.
const CALL_PERIOD_MS: u32 = 1;
const BUSY_PERIOD_MS: u32 = 50;
const IDLE_PERIOD_MS: u32 = 1000;

/// The host's part of a worker.
pub(crate) struct Envoy {
    root: u32,
    counters: Counters,
    gauges: Gauges,
    /// The milliseconds between two calls of the root context; 0 before the first.
    period: Cell<u32>,
}

impl Envoy {
    /// Returns the host with this root context, which begins to count.
    pub(crate) fn new(root: u32) -> Self {
        let host =
            Self { root, counters: Counters::default(), gauges: Gauges::default(), period: Cell::default() };
        for metric in &WATCHED {
            host.counters.add(metric, 0);
        }
        host
    }
}

impl Host for Envoy {
    /// The id of the stream's context.
    type Name = u32;
    type Lines = HeaderMap;

    fn now() -> Result<Moment, HostError> {
        host::now()
    }

    fn lines(map: Map, count: usize) -> Result<HeaderMap, HostError> {
        host::header_map(map, count)
    }

    fn get(map: Map, name: &[u8]) -> Option<Vec<u8>> {
        host::get(map, name).ok()
    }

    fn set(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        host::set(map, name, value)
    }

    fn add(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        host::add(map, name, value)
    }

    fn remove(map: Map, name: &[u8]) -> Result<(), HostError> {
        host::remove(map, name)
    }

    fn slice(body: Body, size: usize) -> Result<Vec<u8>, HostError> {
        host::body(body, size)
    }

    /// Envoy shows all of a body once its head goes on.
    fn kept() -> Result<Vec<u8>, HostError> {
        Ok(Vec::new())
    }

    fn replace(body: Body, bytes: &[u8]) -> Result<(), HostError> {
        host::set_body(body, bytes)
    }

    fn replace_all(body: Body, bytes: &[u8]) -> Result<(), HostError> {
        host::set_body(body, bytes)
    }

    /// Empties Envoy's buffer (decision 057). A part of an answer that waits is changed later, and the ABI lets a filter change
    /// what Envoy keeps only where Envoy does not slow the sender down. Such a stream ends when the buffer is full.
    fn take_out(body: Body) -> Result<bool, HostError> {
        host::set_body(body, &[]).map(|()| true)
    }

    fn peer() -> Option<IpAddr> {
        host::peer()
    }

    fn certificate(part: CertificatePart) -> Option<Vec<u8>> {
        host::certificate(part)
    }

    fn is_answered_by_upstream() -> bool {
        host::is_answered_by_upstream()
    }

    /// Access logs read it by `%FILTER_STATE(wasm.keyswap_…:PLAIN)%`.
    fn tell(name: &str, value: &[u8]) {
        host::set_filter_state(name, value);
    }

    /// Envoy clears it at every change of a request's headers by a module of this version of the ABI. (For newer ones it does
    /// not, which then call the foreign function `clear_route_cache`.)
    fn clear_route_cache() -> Result<(), HostError> {
        Ok(())
    }

    fn reply(reply: &LocalReply) -> Result<(), HostError> {
        host::send_local_reply(reply)
    }

    fn reset() -> Result<(), HostError> {
        host::reset_stream()
    }

    fn proceed() -> Result<(), HostError> {
        host::continue_request()
    }

    fn proceed_answer() -> Result<(), HostError> {
        host::continue_answer()
    }

    fn store(&self) -> &dyn Store {
        &SharedData
    }

    fn count(&self, metric: &Metric<'_>, by: u64) {
        self.counters.add(metric, by);
    }

    fn set_gauges(&self, issuer: &str, values: [u64; GAUGES.len()]) {
        self.gauges.set(issuer, values);
    }

    fn prepare(_name: &u32) {}

    /// A stream that is over has left every list; were it there all the same, the host would say so here.
    fn wake(name: &u32) -> bool {
        let done = host::set_effective_context(*name);
        if let Err(error) = done {
            log::error!("a request that waited is gone: {error}");
        }
        done.is_ok()
    }

    fn come_back(&self) {
        if let Err(error) = host::set_effective_context(self.root) {
            log::error!("cannot restore the root context: {error}");
        }
    }

    fn call(&self, request: FetchRequest) -> Result<u64, HostError> {
        host::dispatch(&request).map(u64::from)
    }

    fn schedule(&self, need: Need) {
        let period = match need {
            Need::Now => CALL_PERIOD_MS,
            Need::Soon => BUSY_PERIOD_MS,
            Need::Later => IDLE_PERIOD_MS,
        };
        if period != self.period.get() && host::set_tick_period(period).is_ok() {
            self.period.set(period);
        }
    }
}
