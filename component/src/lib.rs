//! Keyswap as a WIT component: one engine, by two doors.
//!
//! - `wasi:http/incoming-handler` is the whole proxy, for Wasmtime, Spin and every other host of `wasi:http` 0.2
//!   (`proxy`). Without WASI 0.2 it is left out.
//! - `keyswap:auth/authorizer` is the engine for programs that forward requests themselves (`authorizer`, described in
//!   `wit/authorizer.wit`).
//!
//! Neither decides anything: `keyswap-core` decides which request is refused, with what status, and what is forwarded
//! in its place. A decision that could not be carried out completely forwards nothing.
//!
//! A panic traps the instance and the request that it serves, so nothing here can panic; the lints forbid it. Outside
//! Wasm the crate is empty.

#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, reason = "no crate links to a component, and the bindings add undocumented exports")]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod authorizer;
#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod proxy;
