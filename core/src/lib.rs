//! The Keyswap policy engine.
//!
//! The engine takes the head of a request and the time, and returns a [`Decision`](judge::Decision). The request is
//! forwarded, with the real credential in place of the caller's, or a reply is given in its stead.
//!
//! The engine does no I/O, reads no clock and draws no randomness; its host (Envoy, a command, a test) hands those in.
//! So every host decides alike, and every decision can be replayed.
//!
//! A host calls [`Worker::start`](worker::Worker::start), [`Worker::in_force`](worker::Worker::in_force) and
//! [`InForce::judge`](worker::InForce::judge). Judging returns the decision, or a fetch to make first and a ticket to
//! go on with.

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

pub mod price;

pub mod syntax;

pub mod host;

pub mod request;

pub mod secret;

pub mod limit;

pub mod identity;

pub mod provider;

pub mod body;

pub mod answer;

pub mod policy;

pub mod services;

mod upstream;

pub mod judge;

pub mod worker;
