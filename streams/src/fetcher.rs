//! The calls of a worker: one per key at a time, a bounded number at once, and what waits for them.
//!
//! The worker makes every call, since the answer to a call of a stream is lost with the stream. A request that needs one is
//! queued, and the worker is called back at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use keyswap_core::base::Moment;
use keyswap_core::services::{AsOf, Fetch, FetchKey};
use keyswap_core::worker::Ticket;

use crate::host::{Host, Need};
use crate::lines::Lines as _;
use crate::request::Request;

/// The most calls that are under way at once.
const MAX_CALLS: usize = 64;
/// The most calls that wait to be made.
const MAX_QUEUED: usize = 2048;
/// The most requests that wait in all.
const MAX_WAITERS: usize = 8192;
/// The most requests that wait for one key, so that there is room for those of other keys.
const MAX_WAITERS_PER_KEY: usize = 4096;
/// The most bytes of heads that are kept for judgements in the background. A head may have 60 KiB, and nobody waits for
/// these: one more is not judged.
const MAX_BACKGROUND_BYTES: usize = 4 << 20;
/// The time after which a queued call is not made at all.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(500);

/// The fetches to make, those under way, and the requests that wait for them.
pub(crate) struct Fetcher<H: Host> {
    /// The fetches that no request waits for, which are made before the others. Each queue is in the order of time.
    queue_of_own: VecDeque<Queued>,
    queue: VecDeque<Queued>,
    calls: BTreeMap<u64, Call>,
    /// The keys of queued fetches and of calls.
    fetching: BTreeSet<FetchKey>,
    waiting: BTreeMap<FetchKey, Vec<Waiter<H>>>,
    waiters: usize,
    /// The bytes of the heads among them that are kept for judgements in the background.
    background_bytes: usize,
}

struct Queued {
    fetch: Fetch,
    until: Moment,
}

/// A call that was made.
pub(crate) struct Call {
    pub(crate) key: FetchKey,
    pub(crate) as_of: AsOf,
}

/// Something to resume when a fetch completes.
pub(crate) enum Waiter<H: Host> {
    /// A request that is held.
    Request(Rc<Request<H>>, Ticket),
    /// The body of a request, which is held at the byte that makes it useful.
    Body(Rc<Request<H>>),
    /// The body of an answer, which is held until the registry has answered.
    Answer(Rc<Request<H>>),
    /// A judgement in the background, of a request that went on: its head is kept.
    Background(H::Lines, Ticket),
}

impl<H: Host> Waiter<H> {
    fn is_of(&self, request: &Rc<Request<H>>) -> bool {
        matches!(self, Self::Request(other, _) | Self::Body(other) | Self::Answer(other) if Rc::ptr_eq(other, request))
    }

    /// Returns the bytes of the head that is kept.
    fn kept_bytes(&self) -> usize {
        match self {
            Self::Request(..) | Self::Body(_) | Self::Answer(_) => 0,
            Self::Background(map, _) => map.size(),
        }
    }

    fn into_ticket(self) -> Option<Ticket> {
        match self {
            Self::Request(_, ticket) | Self::Background(_, ticket) => Some(ticket),
            Self::Body(_) | Self::Answer(_) => None,
        }
    }
}

impl<H: Host> Default for Fetcher<H> {
    fn default() -> Self {
        let (queue_of_own, queue, calls, fetching, waiting) = Default::default();
        Self { queue_of_own, queue, calls, fetching, waiting, waiters: 0, background_bytes: 0 }
    }
}

impl<H: Host> Fetcher<H> {
    /// Queues a waiter for a fetch.
    ///
    /// # Errors
    /// There is no room: the waiter's ticket, where it has one.
    pub(crate) fn wait(
        &mut self,
        fetch: Fetch,
        waiter: Waiter<H>,
        now: Moment,
    ) -> Result<(), Option<Ticket>> {
        let is_new = !self.fetching.contains(&fetch.key);
        let beside = self.waiting.get(&fetch.key).map_or(0, Vec::len);
        let kept_bytes = waiter.kept_bytes();
        let background_bytes = self.background_bytes.saturating_add(kept_bytes);
        if (kept_bytes > 0 && background_bytes > MAX_BACKGROUND_BYTES)
            || self.waiters >= MAX_WAITERS
            || beside >= MAX_WAITERS_PER_KEY
            || (is_new && self.queued() >= MAX_QUEUED)
        {
            return Err(waiter.into_ticket());
        }
        if let Waiter::Request(request, _) | Waiter::Body(request) | Waiter::Answer(request) = &waiter {
            request.waits_for.replace(Some(fetch.key.clone()));
        }
        self.waiting.entry(fetch.key.clone()).or_default().push(waiter);
        self.waiters = self.waiters.saturating_add(1);
        self.background_bytes = background_bytes;
        if is_new {
            self.push(fetch, now);
        }
        Ok(())
    }

    /// Queues a fetch that no request waits for, before the others. Returns the fetch where the queue is full. A fetch
    /// that is under way is not made twice.
    pub(crate) fn start(&mut self, fetch: Fetch, now: Moment) -> Option<Fetch> {
        if self.queued() >= MAX_QUEUED {
            return Some(fetch);
        }
        if self.fetching.insert(fetch.key.clone()) {
            self.queue_of_own.push_back(Queued { fetch, until: now.after(QUEUE_TIMEOUT) });
        }
        None
    }

    /// Returns the next fetch to call for, while fewer than [`MAX_CALLS`] are under way.
    pub(crate) fn next(&mut self) -> Option<Fetch> {
        if self.calls.len() >= MAX_CALLS {
            return None;
        }
        self.queue_of_own.pop_front().or_else(|| self.queue.pop_front()).map(|queued| queued.fetch)
    }

    /// Returns a fetch that waited too long in the queue.
    pub(crate) fn overdue(&mut self, now: Moment) -> Option<Fetch> {
        // Where the clock was put back, those behind wait a little longer.
        let is_overdue =
            |queue: &&mut VecDeque<Queued>| queue.front().is_some_and(|queued| queued.until <= now);
        let queue = [&mut self.queue_of_own, &mut self.queue].into_iter().find(is_overdue)?;
        queue.pop_front().map(|queued| queued.fetch)
    }

    fn queued(&self) -> usize {
        self.queue_of_own.len().saturating_add(self.queue.len())
    }

    pub(crate) fn called(&mut self, number: u64, call: Call) {
        self.calls.insert(number, call);
    }

    /// Returns the call that an answer is of.
    pub(crate) fn answered(&mut self, number: u64) -> Option<Call> {
        self.calls.remove(&number)
    }

    /// Ends the fetch of a key, and returns what waited for it.
    pub(crate) fn release(&mut self, key: &FetchKey) -> Vec<Waiter<H>> {
        self.fetching.remove(key);
        let waiters = self.waiting.remove(key).unwrap_or_default();
        self.waiters = self.waiters.saturating_sub(waiters.len());
        let kept_bytes: usize = waiters.iter().map(Waiter::kept_bytes).sum();
        self.background_bytes = self.background_bytes.saturating_sub(kept_bytes);
        waiters
    }

    /// Removes a request that is over from those that wait. Its fetch goes on: the answer serves the next one.
    pub(crate) fn leave(&mut self, key: &FetchKey, request: &Rc<Request<H>>) {
        if let Some(waiters) = self.waiting.get_mut(key) {
            let before = waiters.len();
            waiters.retain(|waiter| !waiter.is_of(request));
            self.waiters = self.waiters.saturating_sub(before.saturating_sub(waiters.len()));
        }
    }

    /// Returns the time at which the worker is needed next.
    pub(crate) fn need(&self) -> Need {
        match (self.queued() == 0, self.calls.len() < MAX_CALLS) {
            (true, _) => Need::Later,
            (false, true) => Need::Now,
            (false, false) => Need::Soon,
        }
    }

    fn push(&mut self, fetch: Fetch, now: Moment) {
        self.fetching.insert(fetch.key.clone());
        self.queue.push_back(Queued { fetch, until: now.after(QUEUE_TIMEOUT) });
    }

    /// Removes everything that waits, and returns the requests among it. Fetches go on, since their answers serve others.
    pub(crate) fn abandon(&mut self) -> Vec<Rc<Request<H>>> {
        (self.waiters, self.background_bytes) = (0, 0);
        let waiters = std::mem::take(&mut self.waiting).into_values().flatten();
        let requests = waiters.filter_map(|waiter| match waiter {
            Waiter::Request(request, _) | Waiter::Body(request) | Waiter::Answer(request) => Some(request),
            Waiter::Background(..) => None,
        });
        requests.collect()
    }
}
