//! Keyswap as a proxy-wasm filter: it hands each request head to the engine and carries out the decision.
//!
//! The filter decides nothing itself: `keyswap-core` decides which request is refused, with what status, and what is
//! rewritten. A request that could not be rewritten completely is not forwarded.
//!
//! A panic traps the VM for every stream of the worker, so nothing here can panic. Host calls return errors ([`host`]),
//! and the lints forbid the rest. Outside Wasm the crate is empty.

#![cfg(target_arch = "wasm32")]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

// The floors, ground up: a module imports from those above it in this list, never from those below it.

mod header_map;

mod host;

mod environment;

mod store;

mod verifier;

mod counters;

mod envoy;

mod plugin;

mod hooks;
