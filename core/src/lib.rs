//! The Keyswap policy engine.
//!
//! It is handed the head of a request and the time, and answers with a [`Decision`]: forward the request
//! rewritten, with the caller's credential removed and the real one in its place, or reply in its stead.
//!
//! It does no I/O, reads no clock and draws no randomness; whoever hosts it (Envoy, a command line, a test)
//! hands those in. So every host decides alike, and every decision can be replayed.
//!
//! The way through it is [`Policy::from_json`] → [`Engine::new`] → [`Engine::begin`], and [`Engine::resume`] where that
//! asks for something to be fetched.

#![forbid(unsafe_code)]
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

pub mod base;

pub mod syntax;

pub mod host;

pub mod request;

pub mod secret;

pub mod limit;

pub mod identity;

pub mod provider;

pub mod answer;

pub mod policy;

pub mod services;

mod upstream;

pub mod judge;

pub mod worker;
