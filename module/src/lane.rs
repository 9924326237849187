//! A lane: a worker's engine with the streams of the worker, behind a lock.
//!
//! Reference counts in it are not atomic. So everything that belongs to a lane stays in it: hooks keep the number of a
//! stream, and reach the stream with the lock in their hands.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyswap_core::answer::LocalReply;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::services::{FetchAnswer, FetchRequest};
use keyswap_streams::{Action, Host as _, Shared, Stream, abandon, answered, work};

use crate::abi::Envoy;
use crate::after;
use crate::faults;
use crate::native::Native;
use crate::post::Waker;

type Start = Box<dyn Fn() -> Result<Shared<Native>, PolicyErrors> + Send + Sync>;

/// A lane.
pub(crate) struct Lane {
    start: Start,
    state: Mutex<Confined>,
}

/// The state of a lane, of which nothing is kept elsewhere.
struct Confined(State);

// SAFETY: the state is reached with the lock only, and no reference count of it is kept outside. What a hook gets of it is
// borrowed from the guard.
unsafe impl Send for Confined {}

struct State {
    /// `None` where the engine could not be made anew after a panic: every request is refused.
    shared: Option<Rc<Shared<Native>>>,
    /// The engines before it that streams still have.
    former: Vec<Rc<Shared<Native>>>,
    streams: BTreeMap<u64, Stream<Native>>,
    last_stream: u64,
}

/// A call to make: its number, and the call.
pub(crate) type Call = (u64, FetchRequest);

impl Lane {
    /// Makes the engine of a worker.
    pub(crate) fn new(start: Start) -> Result<Self, PolicyErrors> {
        let shared = Some(Rc::new(start()?));
        let state = State { shared, former: Vec::new(), streams: BTreeMap::new(), last_stream: 0 };
        Ok(Self { start, state: Mutex::new(Confined(state)) })
    }

    /// Adds a stream. Returns its number.
    pub(crate) fn add(&self, filter: Envoy) -> u64 {
        let mut state = self.lock();
        let State { shared, streams, last_stream, .. } = &mut state.0;
        *last_stream = last_stream.wrapping_add(1);
        streams.insert(*last_stream, Stream::new(Waker::new(filter), shared.clone()));
        *last_stream
    }

    /// Runs the work of a hook of a stream, and then what the work wants done. `over` is for a stream that has ended by a
    /// fault.
    pub(crate) fn enter(
        &self,
        stream: (Envoy, u64),
        over: Action,
        work: impl FnOnce(&mut Stream<Native>) -> Action,
    ) -> Action {
        self.run(stream, over, work, || {
            let _ = Native::reply(&LocalReply::host_failure());
            Action::Pause
        })
    }

    /// Completes a stream. Its answer has ended, so that Envoy can send no other, whatever happens.
    pub(crate) fn complete(&self, stream: (Envoy, u64)) {
        let complete = |stream: &mut Stream<Native>| {
            faults::at("stream_complete");
            stream.complete();
            Action::Continue
        };
        self.run(stream, Action::Continue, complete, || Action::Continue);
    }

    /// Runs work on a stream, or `over` where it has ended by a fault, or `failed` where the work is a fault.
    fn run(
        &self,
        (filter, number): (Envoy, u64),
        over: Action,
        work: impl FnOnce(&mut Stream<Native>) -> Action,
        failed: impl FnOnce() -> Action,
    ) -> Action {
        after::with(filter, || {
            let mut state = self.lock();
            let Some(stream) = state.0.streams.get_mut(&number) else { return over };
            catch_unwind(AssertUnwindSafe(|| work(stream))).unwrap_or_else(|_| {
                self.renew(&mut state.0, Some(number));
                failed()
            })
        })
    }

    /// Goes on with a stream that was woken.
    pub(crate) fn wake(&self, stream: (Envoy, u64)) {
        self.enter(stream, Action::Pause, |stream| {
            faults::at("wake");
            stream.go_on();
            Action::Pause
        });
    }

    /// Removes a stream that is gone.
    pub(crate) fn remove(&self, number: u64) {
        let mut state = self.lock();
        let stream = state.0.streams.remove(&number);
        let end = || {
            faults::at("remove");
            drop(stream);
        };
        if catch_unwind(AssertUnwindSafe(end)).is_err() {
            self.renew(&mut state.0, None);
        }
    }

    /// Does the work that no stream does. Returns the calls to make.
    pub(crate) fn work(&self) -> Vec<Call> {
        self.as_a_whole(|shared| {
            faults::at("work");
            shared.host.is_rung.set(false);
            work(shared);
        })
    }

    /// Takes the answer to a call. Returns the calls to make next.
    pub(crate) fn answer(&self, number: u64, given: &FetchAnswer<'_>) -> Vec<Call> {
        self.as_a_whole(|shared| {
            faults::at("answer");
            answered(shared, number, given);
        })
    }

    /// Runs work on each engine that is in use. Calls have numbers of their own in all of them.
    fn as_a_whole(&self, work: impl Fn(&Shared<Native>)) -> Vec<Call> {
        let mut state = self.lock();
        let State { former, streams, .. } = &mut state.0;
        former.retain(|engine| streams.values().any(|stream| stream.is_of(engine)));
        let engines: Vec<_> = state.0.shared.iter().chain(&state.0.former).map(Rc::clone).collect();
        let mut calls = Vec::new();
        for engine in engines {
            if catch_unwind(AssertUnwindSafe(|| work(&engine))).is_ok() {
                calls.extend(engine.host.calls.take());
            } else {
                self.renew(&mut state.0, None);
            }
        }
        calls
    }

    /// Makes the engine anew after a panic, and fails what waits for the old one. Streams that do not wait keep theirs.
    fn renew(&self, state: &mut State, number: Option<u64>) {
        log::error!("a fault of Keyswap was caught: the engine of this worker is made anew");
        let renewed = catch_unwind(AssertUnwindSafe(|| {
            if let Some(stream) = number.and_then(|number| state.streams.remove(&number)) {
                // Its parts may not fit together any more, so nothing of it is run.
                std::mem::forget(stream);
            }
            if let Some(shared) = state.shared.take() {
                state.former.push(Rc::clone(&shared));
                shared.count_failure();
                abandon(&shared);
            }
            (self.start)()
        }));
        if let Ok(Ok(shared)) = renewed {
            state.shared = Some(Rc::new(shared));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Confined> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
