//! The `keyswap` command, and the parts of it that tests and benchmarks drive by themselves.
//!
//! About requests it decides nothing: whatever it says of a policy or a request, the engine said. About tokens
//! and users [`registry`] decides; [`server`] puts it on the network.

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

mod text;

pub mod registry;

pub mod server;

mod command;

/// Does what the command line asks.
pub fn run() -> std::process::ExitCode {
    command::run().into()
}
