//! Faults: how they are caught, and faults on purpose.
//!
//! A build with debug assertions panics in the hook that the environment names: `KEYSWAP_FAULT=request_body:3` has the third
//! call of that hook fail. No release has this.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A hook, and the number of calls until it fails.
struct Fault {
    hook: String,
    calls_left: AtomicU64,
}

static FAULT: OnceLock<Option<Fault>> = OnceLock::new();

/// Runs work. Returns `None` where the work panics.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Panics if the environment wants this call of the hook to fail.
pub(crate) fn at(hook: &str) {
    if cfg!(debug_assertions)
        && let Some(fault) = FAULT.get_or_init(wanted).as_ref().filter(|fault| fault.hook == hook)
    {
        assert!(fault.calls_left.fetch_sub(1, Ordering::Relaxed) != 1, "a fault on purpose");
    }
}

fn wanted() -> Option<Fault> {
    let wanted = env::var("KEYSWAP_FAULT").ok()?;
    let (hook, calls) = wanted.split_once(':')?;
    Some(Fault { hook: hook.to_owned(), calls_left: AtomicU64::new(calls.parse().ok()?) })
}
