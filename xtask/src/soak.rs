//! `cargo xtask soak`: mixed traffic through two Envoys for half an hour, with a fault of a service every ten seconds.
//!
//! The soak is a test, `soak::` of `tests/tests`: there it lasts as long as each fault takes once.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools::{self, project_root};
use serde_json::Value;

use crate::test;

/// The options of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Minutes of traffic.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// File for the report, JSON.
    #[arg(long, default_value = "target/soak.json")]
    report: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let report = project_root().join(&options.report);
    let mut soak = Command::new(tools::nextest()?);
    soak.args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--profile",
        "soak",
        "--no-capture",
        "-E",
        "test(/^soak::/)",
    ])
    .env("KEYSWAP_SOAK_SECONDS", (options.minutes * 60).to_string())
    .env("KEYSWAP_SOAK_REPORT", &report)
    .envs(test::built(false)?)
    .current_dir(project_root());
    let done = soak.status().context("cannot run nextest")?;
    if let Ok(text) = fs::read_to_string(&report) {
        tell(&serde_json::from_str(&text)?);
    }
    ensure!(done.success(), "the soak failed");
    Ok(())
}

/// Prints a report.
fn tell(report: &Value) {
    println!("{:<20}{:>12}{:>12}{:>8}", "traffic", "passed", "refused", "wrong");
    for (kind, counts) in report["traffic"].as_object().into_iter().flatten() {
        let count = |name: &str| counts[name].to_string();
        println!("{kind:<20}{:>12}{:>12}{:>8}", count("passed"), count("refused"), count("wrong"));
    }
    println!("\navailability of what is known: {}", report["availability"]);
    for (fault, times) in report["faults"].as_object().into_iter().flatten() {
        println!("{times:>4} times {fault}");
    }
    println!("memory, in bytes, of each Envoy early and late: {}", report["memory"]);
    println!("descriptors of each Envoy early and late: {}", report["descriptors"]);
}
