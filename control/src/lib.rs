//! The `keyswap` command, and the modules of it that tests and benchmarks use directly.
//!
//! This crate does not judge requests: all statements about a policy or a request come from the engine. The
//! [`registry`] decides about tokens and users, and the [`server`] serves it over HTTP.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

mod http;
mod settled;
mod text;

pub mod signing;

pub mod registry;

mod export;

pub mod kubernetes;

pub mod server;

mod command;

/// Runs the subcommand that the process's arguments name, and returns the exit code.
pub fn run() -> std::process::ExitCode {
    command::run().into()
}
