//! The `keyswap` command: checks and explains policies, mints proxy tokens.
//!
//! It decides nothing about requests itself: whatever it says of a policy or a request, the engine said.

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
mod output;
mod policy_file;
mod request_head;
mod token_record;
mod yaml;

fn main() -> std::process::ExitCode {
    cli::run().into()
}
