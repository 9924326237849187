//! A lane: a worker's engine with the streams of the worker, behind a lock.
//!
//! Reference counts in it are not atomic. So everything that belongs to a lane stays in it: hooks keep the number of a
//! stream, and reach the stream with the lock in their hands.
//!
//! After a fault the worker has a new engine, and streams keep the former one. A former engine is worked on until its streams
//! have ended and the registry was told what they took. One that has a fault again is given up: it makes no calls any more.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keyswap_core::answer::LocalReply;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::services::{FetchAnswer, FetchRequest};
use keyswap_streams::{Action, Host as _, Shared, Stream, abandon, answered, work};

use crate::abi::Envoy;
use crate::after;
use crate::faults::{self, caught};
use crate::former::FormerEngines;
use crate::native::Native;
use crate::post::Waker;

/// The time between two attempts to make an engine. Each compiles the policy.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

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
    /// `None` while the engine cannot be made anew after a panic: every request is refused.
    shared: Option<Rc<Shared<Native>>>,
    /// The time of the last attempt to make an engine.
    tried: Instant,
    former: FormerEngines,
    streams: BTreeMap<u64, Stream<Native>>,
    last_stream: u64,
}

/// A call to make: its number, and the call.
pub(crate) type Call = (u64, FetchRequest);

impl Lane {
    /// Makes the engine of a worker.
    pub(crate) fn new(start: Start) -> Result<Self, PolicyErrors> {
        let shared = Some(Rc::new(start()?));
        let (former, streams) = Default::default();
        let state = State { shared, tried: Instant::now(), former, streams, last_stream: 0 };
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
            // A stream that ends leaves its engine.
            let engine = stream.worker().cloned();
            caught(|| work(stream)).unwrap_or_else(|| {
                let stream = state.0.streams.remove(&number);
                caught(|| stream.map(Stream::give_up));
                self.renew(&mut state.0, engine, Instant::now());
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
        let engine = stream.as_ref().and_then(Stream::worker).cloned();
        let end = || {
            faults::at("remove");
            drop(stream);
        };
        if caught(end).is_none() {
            self.renew(&mut state.0, engine, Instant::now());
        }
    }

    /// Does the work that no stream does. Returns the calls to make.
    pub(crate) fn work(&self) -> Vec<Call> {
        self.as_a_whole(Instant::now(), |shared| {
            faults::at("work");
            shared.host.is_rung.set(false);
            work(shared);
        })
    }

    /// Takes the answer to a call. Returns the calls to make next.
    pub(crate) fn answer(&self, number: u64, given: &FetchAnswer<'_>) -> Vec<Call> {
        self.as_a_whole(Instant::now(), |shared| {
            faults::at("answer");
            answered(shared, number, given);
        })
    }

    /// Runs work on each engine that is in use. Calls have numbers of their own in all of them.
    fn as_a_whole(&self, now: Instant, work: impl Fn(&Shared<Native>)) -> Vec<Call> {
        let mut state = self.lock();
        let state = &mut state.0;
        if state.shared.is_none() && now.saturating_duration_since(state.tried) >= RETRY_INTERVAL {
            self.start(state, now);
        }
        let State { former, streams, .. } = &mut *state;
        let has_streams = |engine: &_| {
            let mut workers = streams.values().filter_map(Stream::worker);
            workers.any(|worker| Rc::ptr_eq(worker, engine))
        };
        former.forget(now, has_streams, |engine| engine.worker.has_told_all(engine.store()));
        former.fail_waiting();
        let engines: Vec<_> = state.shared.iter().chain(state.former.in_use()).cloned().collect();
        let mut calls = Vec::new();
        for engine in engines {
            if caught(|| work(&engine)).is_some() {
                calls.extend(engine.host.calls.take());
            } else {
                self.renew(state, Some(engine), now);
            }
        }
        calls
    }

    /// Makes the engine of the worker anew after a fault, and fails what waits for the former one. Streams that do not wait
    /// keep it. A former engine that had the fault is given up instead.
    fn renew(&self, state: &mut State, faulty: Option<Rc<Shared<Native>>>, now: Instant) {
        let is_current = |faulty| state.shared.as_ref().is_some_and(|engine| Rc::ptr_eq(engine, faulty));
        let Some(faulty) = faulty else {
            return log::error!("a fault of Keyswap was caught: its stream had no engine");
        };
        if is_current(&faulty) {
            log::error!("a fault of Keyswap was caught: the engine of this worker is made anew");
            state.shared = None;
            // Whatever follows, the worker has an engine.
            self.start(state, now);
            caught(|| faulty.count_failure());
            caught(|| abandon(&faulty));
            state.former.add(faulty);
        } else {
            log::error!("a fault of Keyswap was caught: a former engine of this worker is given up");
            caught(|| faulty.count_failure());
            state.former.give_up(&faulty);
        }
    }

    /// Makes an engine. Where that fails, it is tried again after a while.
    fn start(&self, state: &mut State, now: Instant) {
        state.tried = now;
        match caught(|| (self.start)()) {
            Some(Ok(engine)) => state.shared = Some(Rc::new(engine)),
            Some(Err(errors)) => log::error!("the engine of this worker cannot be made anew: {errors}"),
            None => log::error!("the engine of this worker cannot be made anew: that is a fault, too"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Confined> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::ptr::null_mut;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use keyswap_core::host::Capabilities;
    use keyswap_core::worker::Worker;

    use super::*;
    use crate::abi::fake;
    use crate::clock::Hand;
    use crate::environment::ProcessEnvironment;
    use crate::former::MAX_FORMER;
    use crate::memory::Memory;
    use crate::post::Post;
    use crate::verifier::NativeVerifier;

    const POLICY: &[u8] = br#"{"version": "keyswap/v1", "credentials": {"openai": [{"env": "PATH"}]}}"#;
    const REPLY: &str = "envoy_dynamic_module_callback_http_send_response";

    fn engine(policy: &[u8]) -> Result<Shared<Native>, PolicyErrors> {
        let (environment, verifier) = (Box::new(ProcessEnvironment::new()), Box::new(NativeVerifier));
        let worker = Worker::start(policy, environment, verifier, Capabilities::MODULE, "plane")?;
        let native = Native {
            worker: 0,
            memory: Memory::of("lane"),
            post: Arc::new(Post::new(null_mut())),
            hand: Hand::default(),
            is_rung: false.into(),
            calls: Vec::new().into(),
            last_call: Arc::default(),
        };
        Ok(Shared::new(worker, native))
    }

    fn lane() -> Lane {
        Lane::new(Box::new(|| engine(POLICY))).unwrap()
    }

    fn current(lane: &Lane) -> *const Shared<Native> {
        lane.lock().0.shared.as_ref().map_or(std::ptr::null(), Rc::as_ptr)
    }

    /// Returns for each former engine whether it is given up.
    fn former(lane: &Lane) -> Vec<bool> {
        lane.lock().0.former.given_up().collect()
    }

    fn is_refused(lane: &Lane, number: u64) -> bool {
        fake::calls();
        let action =
            lane.enter((null_mut(), number), Action::Continue, |stream| stream.request_headers(0, true));
        (action, fake::calls().contains(&REPLY)) == (Action::Pause, true)
    }

    /// Has the present engine have a fault, in a stream of its own.
    fn fail(lane: &Lane) {
        let number = lane.add(null_mut());
        lane.enter((null_mut(), number), Action::Continue, |_| panic!("a fault"));
    }

    #[test]
    fn a_fault_of_a_former_engine_leaves_the_present_one_alone() {
        let (lane, now, worked) = (lane(), Instant::now(), Cell::new(0));
        let (first, kept) = (current(&lane), lane.add(null_mut()));
        fail(&lane);
        let second = current(&lane);
        assert!(!second.is_null() && !std::ptr::eq(first, second));
        for _ in 0..3 {
            lane.as_a_whole(now, |engine| {
                worked.set(worked.get() + 1);
                assert!(!std::ptr::eq(engine, first), "a fault");
            });
            assert_eq!((current(&lane), former(&lane)), (second, vec![true]));
        }
        assert_eq!(worked.get(), 2 + 1 + 1, "the former one is not worked on any more");
        assert!(is_refused(&lane, kept), "it has its engine still");
        lane.remove(kept);
        lane.as_a_whole(now, |_| ());
        assert_eq!((current(&lane), former(&lane)), (second, vec![]));
    }

    #[test]
    fn a_stream_of_a_former_engine_has_a_fault_of_its_own() {
        let lane = lane();
        let [one, other] = [(); 2].map(|()| lane.add(null_mut()));
        fail(&lane);
        let second = current(&lane);
        lane.enter((null_mut(), one), Action::Continue, |_| panic!("a fault"));
        assert_eq!((current(&lane), former(&lane)), (second, vec![true]));
        assert!(is_refused(&lane, other) && !is_refused(&lane, one));
    }

    #[test]
    fn an_engine_that_had_a_fault_is_gone_with_its_streams() {
        let lane = lane();
        let weak = lane.lock().0.shared.as_ref().map(Rc::downgrade).unwrap();
        let kept = lane.add(null_mut());
        fail(&lane);
        let engines = || {
            lane.as_a_whole(Instant::now(), |_| ());
            (former(&lane), weak.strong_count())
        };
        assert_eq!(engines(), (vec![false], 2), "a stream has it");
        lane.remove(kept);
        assert_eq!(engines(), (vec![], 0));
    }

    #[test]
    fn of_many_former_engines_the_oldest_are_given_up() {
        let (lane, worked) = (lane(), Cell::new(0));
        for _ in 0..MAX_FORMER + 2 {
            lane.add(null_mut());
            fail(&lane);
        }
        assert_eq!(former(&lane), [true, true, false, false, false, false]);
        lane.as_a_whole(Instant::now(), |_| worked.set(worked.get() + 1));
        assert_eq!(worked.get(), MAX_FORMER + 1);
    }

    #[test]
    fn an_engine_that_could_not_be_made_is_tried_again() {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        let start = move || match counted.fetch_add(1, Ordering::Relaxed) {
            1 => panic!("a fault"),
            2 => engine(b"{}"),
            _ => engine(POLICY),
        };
        let lane = Lane::new(Box::new(start)).unwrap();
        let now = Instant::now();
        fail(&lane);
        for (passed, expect) in [(1, 2), (6, 3), (7, 3), (11, 4), (30, 4)] {
            assert_eq!(current(&lane).is_null(), passed < 30);
            assert!(is_refused(&lane, lane.add(null_mut())));
            lane.as_a_whole(now + Duration::from_secs(passed), |_| ());
            assert_eq!(calls.load(Ordering::Relaxed), expect, "{passed}");
        }
    }
}
