//! The clock of a configuration: a thread that sends an event to the main thread about once a second.
//!
//! The ABI has no timer for HTTP filters. The thread does nothing but that, and ends with the configuration.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::post::Post;

/// The event of the clock. Other events are numbers of workers.
pub(crate) const TICK: u64 = u64::MAX;

/// The time between two events.
const PERIOD: Duration = Duration::from_secs(1);
/// The same where calls wait for others to end.
const SHORT_PERIOD: Duration = Duration::from_millis(50);

#[derive(Default)]
struct State {
    is_hurried: bool,
    is_over: bool,
}

#[derive(Default)]
struct Face {
    state: Mutex<State>,
    change: Condvar,
}

/// A clock that can be hurried.
#[derive(Clone, Default)]
pub(crate) struct Hand(Arc<Face>);

impl Hand {
    /// Makes the next event come soon.
    pub(crate) fn hurry(&self) {
        self.change(|state| state.is_hurried = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.change.notify_one();
    }

    /// Waits for the next event. Returns false where there is none any more.
    fn wait(&self) -> bool {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.is_over {
                return false;
            }
            let period = if state.is_hurried { SHORT_PERIOD } else { PERIOD };
            let waited = self.0.change.wait_timeout(state, period).unwrap_or_else(PoisonError::into_inner);
            let timeout = waited.1.timed_out();
            state = waited.0;
            if timeout && !state.is_over {
                state.is_hurried = false;
                return true;
            }
        }
    }
}

/// A running clock. It stops on drop.
pub(crate) struct Clock {
    hand: Hand,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    /// Starts a clock.
    pub(crate) fn start(hand: &Hand, post: &Arc<Post>) -> io::Result<Self> {
        let (own, post) = (hand.clone(), Arc::clone(post));
        let tick = move || {
            while own.wait() {
                post.send(TICK);
            }
        };
        let thread = thread::Builder::new().name("keyswap".to_owned()).spawn(tick)?;
        Ok(Self { hand: hand.clone(), thread: Some(thread) })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.hand.change(|state| state.is_over = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
