//! A load: callers that send one request after another while a test changes something.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow, ensure};

use crate::waiting::until;

/// A load that runs.
pub struct Load {
    is_over: AtomicBool,
    /// The number of calls of each caller that have passed.
    passed: Vec<AtomicUsize>,
}

impl Load {
    /// Returns the number of calls that have passed.
    pub fn passed(&self) -> usize {
        self.by_caller().iter().sum()
    }

    fn by_caller(&self) -> Vec<usize> {
        self.passed.iter().map(|passed| passed.load(Ordering::SeqCst)).collect()
    }

    /// Waits until `calls` more calls have passed. Returns an error if a caller has failed.
    pub fn passes(&self, calls: usize) -> Result<()> {
        let least = self.passed() + calls;
        self.goes_on_until(|load| load.passed() >= least)
    }

    /// Waits until `calls` more calls of each caller have begun and passed. Returns an error if a caller has failed.
    pub fn passes_each(&self, calls: usize) -> Result<()> {
        let before = self.by_caller();
        // One more: the first may have begun before.
        self.goes_on_until(|load| load.by_caller().iter().zip(&before).all(|(now, then)| *now > then + calls))
    }

    fn goes_on_until(&self, holds: impl Fn(&Self) -> bool) -> Result<()> {
        until("the load goes on", || {
            ensure!(!self.is_over.load(Ordering::SeqCst), "a caller failed");
            Ok(holds(self))
        })
        .map(drop)
    }

    fn run(&self, passed: &AtomicUsize, call: impl Fn(usize) -> Result<()>) -> Result<()> {
        // Also when the call panics: no step waits for a load that is gone.
        let _end = End(&self.is_over);
        for number in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                break;
            }
            call(number)?;
            passed.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// The end of the load when dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Repeats `call` in as many threads as there are `callers` while `steps` runs. Returns what `steps` returns.
///
/// `call` gets the number of the caller and the number of its call, each from 0. The first call that fails ends the
/// load and is the error.
pub fn under_load<T>(
    callers: usize,
    call: impl Fn(usize, usize) -> Result<()> + Sync,
    steps: impl FnOnce(&Load) -> Result<T>,
) -> Result<T> {
    let passed = (0..callers).map(|_| AtomicUsize::new(0)).collect();
    let load = Load { is_over: AtomicBool::new(false), passed };
    let (load, call) = (&load, &call);
    thread::scope(|scope| {
        let run = |(caller, passed)| scope.spawn(move || load.run(passed, |number| call(caller, number)));
        let running: Vec<_> = load.passed.iter().enumerate().map(run).collect();
        let done = {
            let _end = End(&load.is_over);
            steps(load)
        };
        for caller in running {
            caller.join().map_err(|_| anyhow!("a caller panicked"))??;
        }
        done
    })
}
