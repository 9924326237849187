//! A configuration: the lanes of its workers, the calls under way, and the clock.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use keyswap_core::host::Capabilities;
use keyswap_core::policy::PolicyErrors;
use keyswap_core::services::FetchAnswer;
use keyswap_core::worker::Worker;
use keyswap_streams::Shared;

use crate::abi::{self, Envoy};
use crate::clock::{Clock, Hand, TICK};
use crate::environment::{ProcessEnvironment, machine};
use crate::lane::{Call, Lane};
use crate::memory::Memory;
use crate::native::Native;
use crate::post::Post;
use crate::verifier::NativeVerifier;

/// A configuration of the filter.
pub(crate) struct Configuration {
    /// The clock stops before all else goes.
    _clock: Option<Clock>,
    lanes: Vec<Arc<Lane>>,
    /// The calls under way, with the lane and the number of each.
    calls: Mutex<HashMap<u64, (Arc<Lane>, u64)>>,
    post: Arc<Post>,
}

impl Configuration {
    /// Reads a configuration. Its errors are in the log.
    pub(crate) fn new(envoy: Envoy, name: &str, text: &[u8]) -> Option<Self> {
        let (post, hand, memory) = (Arc::new(Post::new(envoy)), Hand::default(), Memory::of(name));
        // SAFETY: this is the main thread.
        let (workers, is_validation) = unsafe {
            (
                abi::envoy_dynamic_module_callback_get_concurrency(),
                abi::envoy_dynamic_module_callback_is_validation_mode(),
            )
        };
        let text: Arc<[u8]> = text.into();
        let mut lanes = Vec::new();
        for worker in 0..u64::from(workers.max(1)) {
            let (text, memory) = (Arc::clone(&text), Arc::clone(&memory));
            let (post, hand) = (Arc::clone(&post), hand.clone());
            let last_call = Arc::default();
            let start = move || start(&text, native(worker, &memory, &post, &hand, &last_call));
            match Lane::new(Box::new(start)) {
                Ok(lane) => lanes.push(Arc::new(lane)),
                Err(errors) => {
                    tell(&errors);
                    return None;
                }
            }
        }
        let clock = match (is_validation, Clock::start(&hand, &post)) {
            (true, _) => None,
            (false, Ok(clock)) => Some(clock),
            (false, Err(error)) => {
                log::error!("the clock cannot be started: {error}");
                return None;
            }
        };
        Some(Self { _clock: clock, lanes, calls: Mutex::default(), post })
    }

    /// Returns the lane of a worker.
    pub(crate) fn lane(&self, worker: u32) -> Option<&Arc<Lane>> {
        let place = usize::try_from(worker).ok()?.checked_rem(self.lanes.len())?;
        self.lanes.get(place)
    }

    /// Does the work of an event, on the main thread.
    pub(crate) fn happened(&self, event: u64) {
        for (place, lane) in (0_u64..).zip(&self.lanes) {
            if event == TICK || event == place {
                self.make(lane, lane.work());
            }
        }
    }

    /// Takes the answer to a call, on the main thread.
    pub(crate) fn answered(&self, number: u64, answer: &FetchAnswer<'_>) {
        let call = self.calls.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some((lane, number)) = call {
            self.make(&lane, lane.answer(number, answer));
        }
    }

    /// Makes calls. One that cannot be made has failed, and others may follow from that.
    fn make(&self, lane: &Arc<Lane>, mut calls: Vec<Call>) {
        while let Some((number, request)) = calls.pop() {
            match self.post.call(&request) {
                Ok(envoy) => {
                    let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
                    calls.insert(envoy, (Arc::clone(lane), number));
                }
                Err(error) => {
                    log::error!("cannot call the cluster `{}`: {error}", request.cluster);
                    calls.extend(lane.answer(number, &FetchAnswer::Failed));
                }
            }
        }
    }
}

fn native(
    worker: u64,
    memory: &Arc<Memory>,
    post: &Arc<Post>,
    hand: &Hand,
    last_call: &Arc<AtomicU64>,
) -> Native {
    Native {
        worker,
        memory: Arc::clone(memory),
        post: Arc::clone(post),
        hand: hand.clone(),
        is_rung: false.into(),
        calls: Vec::new().into(),
        last_call: Arc::clone(last_call),
    }
}

fn start(text: &[u8], native: Native) -> Result<Shared<Native>, PolicyErrors> {
    let (environment, verifier) = (Box::new(ProcessEnvironment::new()), Box::new(NativeVerifier));
    let worker = Worker::start(text, environment, verifier, Capabilities::MODULE, &machine())?;
    Ok(Shared::new(worker, native))
}

fn tell(errors: &PolicyErrors) {
    for error in &errors.0 {
        log::error!("{error}");
    }
    log::error!("the policy has {} error(s); `keyswap policy check` shows the same", errors.0.len());
}

#[cfg(test)]
mod tests {
    use std::ptr::null_mut;

    use keyswap_streams::Action;

    use super::Configuration;
    use crate::abi::fake;

    const POLICY: &[u8] = br#"{"version": "keyswap/v1", "credentials": {"openai": [{"env": "PATH"}]}}"#;
    const REPLY: &str = "envoy_dynamic_module_callback_http_send_response";
    const COUNT: &str = "envoy_dynamic_module_callback_http_filter_config_increment_counter";

    fn times(calls: &[&str], name: &str) -> usize {
        calls.iter().filter(|call| **call == name).count()
    }

    #[test]
    fn a_panic_refuses_its_request_is_counted_and_harms_no_other() {
        let configuration = Configuration::new(null_mut(), "panic", POLICY).unwrap();
        let lane = configuration.lane(0).unwrap();
        let [first, second, third] = [(); 3].map(|()| (null_mut(), lane.add(null_mut())));
        let judge = |stream| {
            fake::calls();
            let action = lane.enter(stream, Action::Continue, |stream| stream.request_headers(0, true));
            (action, times(&fake::calls(), REPLY))
        };
        assert_eq!(judge(first), (Action::Pause, 1), "a head without a path is refused");
        let action = lane.enter(second, Action::Continue, |_| panic!("a fault"));
        let calls = fake::calls();
        // Before it the refusal of the first was counted, for another reason.
        assert_eq!((action, times(&calls, REPLY), times(&calls, COUNT)), (Action::Pause, 1, 2), "{calls:?}");
        assert_eq!(judge(second), (Action::Continue, 0), "nothing is judged of what has ended");
        assert_eq!(judge(third), (Action::Pause, 1));
        let fourth = (null_mut(), lane.add(null_mut()));
        assert_eq!(judge(fourth), (Action::Pause, 1), "the engine was made anew");
        for (_, number) in [first, second, third, fourth] {
            lane.remove(number);
        }
    }

    #[test]
    fn an_engine_that_was_made_anew_takes_no_answer_to_a_call_of_the_former_one() {
        let policy = br#"{"version": "keyswap/v1", "credentials": {"openai": [{"env": "PATH"}]},
            "registry": {"url": "https://r", "cluster": "r", "credential": {"env": "PATH"}}}"#;
        let configuration = Configuration::new(null_mut(), "calls", policy).unwrap();
        let lane = configuration.lane(0).unwrap();
        let numbers = || lane.work().into_iter().map(|(number, _)| number).collect::<Vec<_>>();
        let (before, stream) = (numbers(), (null_mut(), lane.add(null_mut())));
        lane.enter(stream, Action::Continue, |_| panic!("a fault"));
        let after = numbers();
        assert!(!after.is_empty() && before.iter().max() < after.iter().min(), "{before:?} {after:?}");
    }

    #[test]
    fn what_was_counted_is_told_before_a_configuration_goes() {
        let configuration = Configuration::new(null_mut(), "counts", POLICY).unwrap();
        let lane = configuration.lane(0).unwrap();
        let stream = (null_mut(), lane.add(null_mut()));
        // What alerts watch is counted from zero.
        fake::calls();
        for _ in 0..3 {
            lane.enter(stream, Action::Continue, |stream| stream.request_headers(0, true));
        }
        lane.remove(stream.1);
        assert_eq!(times(&fake::calls(), COUNT), 0, "requests do not count one by one");
        drop(configuration);
        assert_eq!(times(&fake::calls(), COUNT), 1);
    }

    #[test]
    fn a_policy_with_errors_is_refused() {
        assert!(Configuration::new(null_mut(), "errors", b"{}").is_none());
    }

    #[test]
    fn every_worker_has_a_lane() {
        let configuration = Configuration::new(null_mut(), "lanes", POLICY).unwrap();
        assert!((0..3).all(|worker| configuration.lane(worker).is_some()));
    }
}
