//! Envoy as the host of a worker's streams.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use keyswap_core::answer::LocalReply;
use keyswap_core::base::Moment;
use keyswap_core::host::Store;
use keyswap_core::request::CertificatePart;
use keyswap_core::services::FetchRequest;
use keyswap_streams::{Body, GAUGES, Host, HostError, Map, Metric, Need};

use crate::after::{self, After};
use crate::calls::{self, Head};
use crate::clock::Hand;
use crate::memory::Memory;
use crate::post::{Post, Waker};

/// The host's part of a worker.
pub(crate) struct Native {
    /// The number of the worker, which its events have, too.
    pub(crate) worker: u64,
    pub(crate) memory: Arc<Memory>,
    pub(crate) post: Arc<Post>,
    pub(crate) hand: Hand,
    /// Set where an event is on its way already.
    pub(crate) is_rung: Cell<bool>,
    /// The calls to make once the lock was given back, with their numbers.
    pub(crate) calls: RefCell<Vec<(u64, FetchRequest)>>,
    /// The number of the last call. Engines of a worker share it, so that the answer to a call of one is none for another.
    pub(crate) last_call: Arc<AtomicU64>,
}

impl Host for Native {
    type Name = Waker;
    type Lines = Head;

    fn now() -> Result<Moment, HostError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| HostError::Status("time", 1))?;
        Ok(Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
    }

    fn lines(map: Map, count: usize) -> Result<Head, HostError> {
        calls::lines(map, count)
    }

    fn get(map: Map, name: &[u8]) -> Option<Vec<u8>> {
        calls::get(map, name)
    }

    fn set(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        calls::set(map, name, value)
    }

    fn add(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
        calls::add(map, name, value)
    }

    fn remove(map: Map, name: &[u8]) -> Result<(), HostError> {
        calls::remove(map, name)
    }

    fn slice(body: Body, size: usize) -> Result<Vec<u8>, HostError> {
        if size == 0 { Ok(Vec::new()) } else { calls::slice(body, size) }
    }

    fn kept() -> Result<Vec<u8>, HostError> {
        calls::kept()
    }

    fn replace(body: Body, bytes: &[u8]) -> Result<(), HostError> {
        calls::replace(body, bytes)
    }

    fn replace_all(body: Body, bytes: &[u8]) -> Result<(), HostError> {
        calls::replace_all(body, bytes)
    }

    /// Envoy keeps what waits, and slows the sender down where its buffer is full.
    fn take_out(_body: Body) -> Result<bool, HostError> {
        Ok(false)
    }

    fn peer() -> Option<IpAddr> {
        calls::peer()
    }

    fn certificate(part: CertificatePart) -> Option<Vec<u8>> {
        calls::certificate(part)
    }

    fn is_answered_by_upstream() -> bool {
        calls::is_answered_by_upstream()
    }

    fn tell(name: &str, value: &[u8]) {
        calls::tell(name, value);
    }

    fn clear_route_cache() -> Result<(), HostError> {
        calls::clear_route_cache();
        Ok(())
    }

    fn reply(reply: &LocalReply) -> Result<(), HostError> {
        after::note(After::Reply(reply.clone()));
        Ok(())
    }

    fn reset() -> Result<(), HostError> {
        after::note(After::Reset);
        Ok(())
    }

    fn proceed() -> Result<(), HostError> {
        after::note(After::Proceed);
        Ok(())
    }

    fn proceed_answer() -> Result<(), HostError> {
        after::note(After::ProceedAnswer);
        Ok(())
    }

    fn store(&self) -> &dyn Store {
        &*self.memory
    }

    fn count(&self, metric: &Metric<'_>, by: u64) {
        self.post.count(metric, by);
    }

    fn set_gauges(&self, issuer: &str, values: [u64; GAUGES.len()]) {
        self.post.set_gauges(issuer, values);
    }

    fn prepare(name: &Waker) {
        name.prepare();
    }

    fn wake(name: &Waker) -> bool {
        name.wake();
        false
    }

    fn come_back(&self) {}

    /// Notes the call, which is made once the lock was given back.
    fn call(&self, request: FetchRequest) -> Result<u64, HostError> {
        let number = self.last_call.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.calls.try_borrow_mut().map_err(|_| HostError::Busy)?.push((number, request));
        Ok(number)
    }

    fn schedule(&self, need: Need) {
        match need {
            Need::Now if !self.is_rung.replace(true) => self.post.send(self.worker),
            Need::Soon => self.hand.hurry(),
            Need::Now | Need::Later => {}
        }
    }
}
