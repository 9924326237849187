//! The `keyswap` command: checks and explains policies, mints proxy tokens, serves and looks after the registry.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    keyswap::run()
}
