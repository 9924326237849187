//! `cargo xtask scan-cost`: the cost of scanning bodies in Wasm, in time and state.
//!
//! The program is built with the filter's profile, for the filter's target, and runs in Wasmtime. Its table has no targets that
//! fail: the times are those of this machine.

use std::process::Command;

use anyhow::Result;
use keyswap_tests::{build, tools};

const TARGET: &str = "wasm32-wasip1";

pub(crate) fn run() -> Result<()> {
    let wasmtime = tools::wasmtime()?;
    eprintln!("building the scanners …");
    let program = build(&[
        "--package",
        "keyswap-core",
        "--bench",
        "scanning",
        "--profile",
        "wasm",
        "--target",
        TARGET,
    ])?;
    let table = tools::run(Command::new(wasmtime).arg("run").arg(program), "it was built a moment ago")?;
    println!("{}", table.trim_end());
    Ok(())
}
