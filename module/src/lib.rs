//! Keyswap as a dynamic module: the engine in Envoy's own process.
//!
//! Envoy calls the hooks of [`hooks`]. A worker's engine is a [`lane`](lane::Lane), behind a lock that every hook takes: so the
//! main thread can do the work of a worker that no request reaches. What a hook does to a stream that may call another
//! hook (a reply, a reset, going on) is done after the lock was given back ([`after`]).
//!
//! A panic must not leave a hook. Each runs behind a barrier that refuses the request, and makes the worker's engine anew.

#![cfg(target_os = "linux")]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

// The floors, ground up: a module imports from those above it in this list, never from those below it.

mod abi;

mod faults;

mod environment;

mod memory;

mod verifier;

mod after;

mod calls;

mod logger;

mod post;

mod clock;

mod native;

mod former;

mod lane;

mod configuration;

mod hooks;
