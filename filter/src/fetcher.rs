//! The calls of a worker: one per key at a time, a bounded number at once, and the requests that wait for them.
//!
//! The root context makes every call, since the answer to a call of a stream is lost with the stream. A request that
//! needs one is queued, and the root context is called back within a millisecond.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use keyswap_core::base::Moment;
use keyswap_core::services::{AsOf, Fetch, FetchKey};
use keyswap_core::worker::{Rollout, Waiting};

use crate::header_map::HeaderMap;
use crate::host;
use crate::stream::Request;

/// So many calls are made at once.
const MOST_CALLS: usize = 64;
/// So many calls wait to be made.
const LONGEST_QUEUE: usize = 2048;
/// So many requests wait in all, and so many for one key: whoever makes one key wait leaves room for the others.
const MOST_WAITERS: usize = 8192;
const MOST_WAITERS_OF_ONE: usize = 4096;
/// A call that was not made by then is not made at all.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Milliseconds between two calls of the root context: when a call is to be made, when calls wait for others to end,
/// and otherwise.
const SOON: u32 = 1;
const WATCHFUL: u32 = 50;
const IDLE: u32 = 1000;

/// What is to be fetched, what is being fetched, and who waits for it.
#[derive(Default)]
pub(crate) struct Fetcher {
    queue: VecDeque<Queued>,
    calls: BTreeMap<u32, Call>,
    /// The keys of both.
    fetching: BTreeSet<FetchKey>,
    waiting: BTreeMap<FetchKey, Vec<Waiter>>,
    waiters: usize,
    period: u32,
}

struct Queued {
    fetch: Fetch,
    until: Moment,
}

/// A call that was made.
pub(crate) struct Call {
    pub(crate) key: FetchKey,
    pub(crate) asked: AsOf,
}

/// What waits.
pub(crate) struct Waiter {
    pub(crate) whose: Whose,
    pub(crate) at: Option<Held>,
}

/// Who is to be gone on with.
pub(crate) enum Whose {
    /// A request that is held.
    Request(Rc<Request>),
    /// A judgement that only tells something, of a request that went on: its head is kept.
    Nobody(HeaderMap),
}

/// Where its judgement goes on, in the policies that began it.
pub(crate) struct Held {
    pub(crate) rollout: Rc<Rollout>,
    pub(crate) waiting: Waiting,
}

impl Waiter {
    fn is_of(&self, request: &Rc<Request>) -> bool {
        matches!(&self.whose, Whose::Request(other) if Rc::ptr_eq(other, request))
    }
}

impl Fetcher {
    /// Has a request wait for a fetch. Where there are too many already the waiter comes back.
    pub(crate) fn wait(&mut self, fetch: Fetch, waiter: Waiter, now: Moment) -> Option<Waiter> {
        let is_new = !self.fetching.contains(&fetch.key);
        let beside = self.waiting.get(&fetch.key).map_or(0, Vec::len);
        if self.waiters >= MOST_WAITERS
            || beside >= MOST_WAITERS_OF_ONE
            || (is_new && self.queue.len() >= LONGEST_QUEUE)
        {
            return Some(waiter);
        }
        if let Whose::Request(request) = &waiter.whose {
            request.wait_for(fetch.key.clone());
        }
        self.waiting.entry(fetch.key.clone()).or_default().push(waiter);
        self.waiters = self.waiters.saturating_add(1);
        if is_new {
            self.push(fetch, now);
        }
        None
    }

    /// Fetches what no request waits for, before what is queued. It comes back where too much is queued already; what is
    /// being fetched anyway is not fetched twice.
    pub(crate) fn start(&mut self, fetch: Fetch, now: Moment) -> Option<Fetch> {
        if self.queue.len() >= LONGEST_QUEUE {
            return Some(fetch);
        }
        if self.fetching.insert(fetch.key.clone()) {
            self.queue.push_front(Queued { fetch, until: now.after(LONGEST_WAIT) });
            self.schedule();
        }
        None
    }

    /// The next fetch to call for, while fewer than the most are on their way.
    pub(crate) fn next(&mut self) -> Option<Fetch> {
        if self.calls.len() >= MOST_CALLS {
            return None;
        }
        self.queue.pop_front().map(|queued| queued.fetch)
    }

    /// A fetch that waited too long to be called for.
    pub(crate) fn overdue(&mut self, now: Moment) -> Option<Fetch> {
        // In the order of their time, unless the clock was put back; then those behind wait a little longer.
        let is_overdue = self.queue.front().is_some_and(|queued| queued.until <= now);
        is_overdue.then(|| self.queue.pop_front()).flatten().map(|queued| queued.fetch)
    }

    pub(crate) fn called(&mut self, number: u32, call: Call) {
        self.calls.insert(number, call);
    }

    /// The call that an answer is of.
    pub(crate) fn answered(&mut self, number: u32) -> Option<Call> {
        self.calls.remove(&number)
    }

    /// The fetch of a key is over: everybody who waits for it waits no more.
    pub(crate) fn release(&mut self, key: &FetchKey) -> Vec<Waiter> {
        self.fetching.remove(key);
        let waiters = self.waiting.remove(key).unwrap_or_default();
        self.waiters = self.waiters.saturating_sub(waiters.len());
        waiters
    }

    /// A request that is over waits no more. Its fetch goes on: the answer serves the next one.
    pub(crate) fn leave(&mut self, key: &FetchKey, request: &Rc<Request>) {
        if let Some(waiters) = self.waiting.get_mut(key) {
            let before = waiters.len();
            waiters.retain(|waiter| !waiter.is_of(request));
            self.waiters = self.waiters.saturating_sub(before.saturating_sub(waiters.len()));
        }
    }

    /// Has the root context called back at once.
    pub(crate) fn begin(&mut self) {
        self.set_period(SOON);
    }

    /// Has the root context called back when it is needed next.
    pub(crate) fn schedule(&mut self) {
        self.set_period(match (self.queue.is_empty(), self.calls.len() < MOST_CALLS) {
            (true, _) => IDLE,
            (false, true) => SOON,
            (false, false) => WATCHFUL,
        });
    }

    fn set_period(&mut self, period: u32) {
        if period != self.period && host::set_tick_period(period).is_ok() {
            self.period = period;
        }
    }

    fn push(&mut self, fetch: Fetch, now: Moment) {
        self.fetching.insert(fetch.key.clone());
        self.queue.push_back(Queued { fetch, until: now.after(LONGEST_WAIT) });
        self.schedule();
    }
}
