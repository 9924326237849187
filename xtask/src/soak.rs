//! `cargo xtask soak`: mixed traffic through two Envoys for half an hour, with a fault of a service every ten seconds.
//!
//! The soak is a test, `soak::` of `tests/tests`: there it lasts as long as each fault takes once.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    hardening::{self, Row},
    tools::project_root,
};
use serde_json::Value;

use crate::measured;

/// The options of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Minutes of traffic.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// File for the report, JSON.
    #[arg(long, default_value = "target/soak.json")]
    report: PathBuf,
    /// Put the run into `docs/security/hardening.md`.
    #[arg(long)]
    record: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let report = project_root().join(&options.report);
    let mut soak = measured::tests_of("soak")?;
    soak.env("KEYSWAP_SOAK_SECONDS", (options.minutes * 60).to_string());
    soak.env("KEYSWAP_SOAK_REPORT", &report);
    let done = soak.status().context("cannot run nextest")?;
    let report: Value =
        fs::read_to_string(&report).map_or(Ok(Value::Null), |text| serde_json::from_str(&text))?;
    tell(&report);
    ensure!(done.success(), "the soak failed");
    if options.record {
        hardening::write(
            "soak",
            &rows(&report, &format!("cargo xtask soak --minutes {} --record", options.minutes))?,
        )?;
    }
    Ok(())
}

/// Returns what a report says of each promise.
fn rows(report: &Value, command: &str) -> Result<Vec<Row>> {
    let sum = |list: &Value, name: &str| {
        let counts = list.as_object().into_iter().flatten();
        counts
            .filter_map(|(_, counts)| if name.is_empty() { counts } else { &counts[name] }.as_u64())
            .sum::<u64>()
    };
    let (traffic, date) = (&report["traffic"], hardening::today()?);
    let growth = |levels: &Value, unit: u64| {
        let each = levels.as_array().into_iter().flatten();
        let grown = each.filter_map(|level| Some(level[1].as_u64()?.saturating_sub(level[0].as_u64()?)));
        grown.max().unwrap_or_default() / unit
    };
    let row = |promise: &str, figures: Vec<(u64, &str)>| Row {
        promise: promise.to_owned(),
        attack: "mixed traffic through two Envoys with PostgreSQL, a fault of a service every ten seconds"
            .to_owned(),
        figures: figures.into_iter().map(|(number, unit)| (number, unit.to_owned())).collect(),
        date: date.clone(),
        command: command.to_owned(),
    };
    let seconds = report["seconds"].as_u64().unwrap_or_default();
    Ok(vec![
        row(
            "what was used before a fault goes on in it, and nothing is allowed that should not be",
            vec![
                (seconds, "s"),
                (sum(&report["faults"], ""), "faults"),
                (sum(traffic, "passed"), "passed"),
                (sum(traffic, "refused"), "refused"),
                (sum(traffic, "wrong"), "otherwise"),
            ],
        ),
        row(
            "memory and descriptors do not grow",
            vec![
                (seconds, "s"),
                (growth(&report["memory"], 1 << 20), "MiB more at most"),
                (growth(&report["descriptors"], 1), "descriptors more at most"),
            ],
        ),
    ])
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
