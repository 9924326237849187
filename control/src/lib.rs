//! The `keyswap` command, and the parts of it that tests and benchmarks drive by themselves.
//!
//! About requests it decides nothing: whatever it says of a policy or a request, the engine said. About tokens
//! and users [`registry`] decides; [`serve`] puts it on the network.

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

mod cli;
mod command;
mod exit;
mod input;
mod mask;
mod object;
mod output;
mod policy_file;
pub mod registry;
mod request_head;
pub mod serve;
mod token_record;
mod yaml;

/// Does what the command line asks.
pub fn run() -> std::process::ExitCode {
    cli::run().into()
}
