//! The `keyswap` command: checks and explains policies, creates proxy tokens, serves and manages the registry.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    keyswap::run()
}
