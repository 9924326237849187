//! `cargo xtask reference`: replays many random logs by the engine and by the naive reference of `core/tests/reference`.

use std::{process::Command, time::Instant};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    hardening::{self, Row},
    tools::project_root,
};

/// The options of `cargo xtask reference`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of logs. Those of a smaller number are among those of a greater one.
    #[arg(long, default_value_t = 20_000)]
    logs: u32,
    /// Put the run into `docs/security/hardening.md`.
    #[arg(long)]
    record: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    let mut cargo = Command::new("cargo");
    cargo.args(["test", "--locked", "--package", "keyswap-core", "--test", "engine", "--", "reference::"]);
    cargo.env("KEYSWAP_REFERENCE_LOGS", options.logs.to_string()).current_dir(project_root());
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the engine and the reference differ");
    if !options.record {
        return Ok(());
    }
    let row = Row {
        promise: "the engine decides as the book says".to_owned(),
        attack: "random logs of requests, faults of the registry, jumps of the clock and policies, judged a second time by \
                 a naive reference"
            .to_owned(),
        figures: vec![(u64::from(options.logs), "logs".to_owned()), (begin.elapsed().as_secs(), "s".to_owned())],
        date: hardening::today()?,
        command: format!("cargo xtask reference --logs {} --record", options.logs),
    };
    hardening::write("reference", &[row])
}
