//! `cargo xtask scan-cost`: the cost of scanning bodies in Wasm, in time and state, beside its targets.
//!
//! The program is built with the filter's profile, for the filter's target, and runs in Wasmtime. The times are those of this
//! machine.

use anyhow::Result;
use keyswap_tests::{build, docs, scanning::Scanning};

const TARGET: &str = "wasm32-wasip1";

/// The options of `cargo xtask scan-cost`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Put the figures into the documents.
    #[arg(long)]
    update_docs: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
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
    let scanning = Scanning::measure(&program)?;
    print!("{}", scanning.table()?);
    if options.update_docs {
        scanning.write()?;
        docs::update()?;
    }
    Ok(())
}
