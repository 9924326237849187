//! The `keyswap` command: checks and explains policies, mints proxy tokens, serves the token registry.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    keyswap::run()
}
