//! `cargo xtask mutants`: changes the engine in one place at a time, and counts the changes that no test of it notices.

use std::{collections::BTreeMap, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    hardening::{self, Row},
    tools::{self, project_root},
};
use serde_json::Value;

/// The folders of `core/src` that decide.
const FOLDERS: [&str; 6] = ["body", "identity", "judge", "limit", "secret", "syntax"];
/// The test programs that have to notice a change.
const PROGRAMS: [&str; 4] = ["--lib", "--test=clients", "--test=engine", "--test=objects"];
/// Tests that take seconds each, and are left out: what only they would notice counts as missed.
const LONG: [&str; 3] = [
    "exchange_chains::however_many_callers",
    "exchange_chains::a_caller_with_many_jwts",
    "registry::guesses_by_the_hundred",
];
/// The name of the file of figures.
const FIGURES: &str = "mutants";

/// The options of `cargo xtask mutants`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Part of the changes to try, each N-th one from the K-th: `0/1` is all of them, some hours.
    #[arg(long, default_value = "0/10", value_name = "K/N")]
    share: String,
    /// Folder of `core/src` to change, may be repeated [default: all that decide].
    #[arg(long, value_name = "NAME", value_parser = FOLDERS)]
    folder: Vec<String>,
    /// Try only the changes that no test noticed the last time.
    #[arg(long)]
    again: bool,
    /// Number of changes to try at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: u8,
    /// Put the run into `docs/security/hardening.md`.
    #[arg(long)]
    record: bool,
}

/// The changes of one folder.
#[derive(Default)]
struct Counts {
    caught: u64,
    missed: u64,
    /// Those that do not compile.
    unviable: u64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let output = project_root().join("target/mutants");
    fs::create_dir_all(&output)?;
    let is_chosen =
        |name: &&str| options.folder.is_empty() || options.folder.iter().any(|other| other == name);
    let mut mutants = Command::new(tools::cargo_mutants()?);
    mutants.args(["mutants", "--package", "keyswap-core", "--no-shuffle"]);
    mutants.args(["--sharding", "round-robin", "--shard", &options.share]);
    mutants.args(["--jobs", &options.jobs.to_string()]).arg("--output").arg(&output);
    if options.again {
        mutants.arg("--iterate");
    }
    // A test may wait for an answer that a change keeps away.
    mutants.args(["--minimum-test-timeout", "60", "--cargo-arg=--locked"]);
    let files = FOLDERS.into_iter().filter(is_chosen);
    mutants.args(files.map(|name| format!("--file=core/src/{name}/**")));
    mutants.args(PROGRAMS.map(|program| format!("--cargo-test-arg={program}")));
    mutants.arg("--cargo-test-arg=--").args(LONG.map(|name| format!("--cargo-test-arg=--skip={name}")));
    mutants.current_dir(project_root());
    // A change compiles the engine anew, and little of it.
    mutants.envs([("CARGO_INCREMENTAL", "1"), ("CARGO_PROFILE_DEV_DEBUG", "0")]);
    let status = mutants.status().context("cannot run cargo-mutants")?;
    // 2: something was missed; 3: something took too long.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo-mutants failed");
    // cargo-mutants leaves out what was noticed the last time, and what does not compile, and lists both as one.
    let unviable = output.join("unviable.txt");
    let mut unviable_before = String::new();
    if options.again && unviable.exists() {
        unviable_before = fs::read_to_string(&unviable)?;
    }
    let unviable_now = fs::read_to_string(output.join("mutants.out/unviable.txt"))?;
    fs::write(&unviable, unviable_before.clone() + &unviable_now)?;
    let outcomes = fs::read_to_string(output.join("mutants.out/outcomes.json"))?;
    let mut counts = count(&serde_json::from_str(&outcomes)?)?;
    if options.again {
        let before = fs::read_to_string(output.join("mutants.out/previously_caught.txt"))?;
        for line in before.lines() {
            let counts = counts.entry(folder_of(line)?).or_default();
            if unviable_before.lines().any(|other| other == line) {
                counts.unviable += 1;
            } else {
                counts.caught += 1;
            }
        }
    }
    for (name, Counts { caught, missed, unviable }) in &counts {
        println!("{name:<12}{caught:>6} caught{missed:>6} missed{unviable:>6} do not compile");
    }
    println!("what was missed: target/mutants/mutants.out/missed.txt");
    if options.record {
        let command = format!("cargo xtask mutants --share {} --record", options.share);
        let mut rows = rows(&counts, &command)?;
        let mut before = hardening::read(FIGURES)?;
        before.retain(|row| rows.iter().all(|other| other.promise != row.promise));
        rows.extend(before);
        rows.sort_by(|one, other| one.promise.cmp(&other.promise));
        hardening::write(FIGURES, &rows)?;
    }
    Ok(())
}

/// Counts the outcomes of each folder. A change that makes a test hang is noticed.
fn count(report: &Value) -> Result<BTreeMap<&'static str, Counts>> {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    for outcome in report["outcomes"].as_array().context("no outcomes")? {
        let Some(file) = outcome["scenario"]["Mutant"]["file"].as_str() else { continue };
        let counts = counts.entry(folder_of(file)?).or_default();
        match outcome["summary"].as_str().unwrap_or_default() {
            "CaughtMutant" | "Timeout" => counts.caught += 1,
            "MissedMutant" => counts.missed += 1,
            "Unviable" => counts.unviable += 1,
            other => anyhow::bail!("cargo-mutants says `{other}`"),
        }
    }
    Ok(counts)
}

/// Returns the folder of a file.
fn folder_of(file: &str) -> Result<&'static str> {
    let is_in = |name: &&str| file.starts_with(&format!("core/src/{name}/"));
    FOLDERS.into_iter().find(is_in).with_context(|| format!("{file} is of no folder that decides"))
}

fn rows(counts: &BTreeMap<&str, Counts>, command: &str) -> Result<Vec<Row>> {
    let date = hardening::today()?;
    let row = |(name, Counts { caught, missed, .. }): (&&str, &Counts)| {
        let viable = (caught + missed).max(1);
        let figures = [(viable, "changes"), (*caught, "noticed"), (caught * 100 / viable, "%")];
        Row {
            promise: format!("the tests of the engine hold each line of `{name}`"),
            attack: "one operator, condition or result changed at a time".to_owned(),
            figures: figures.map(|(number, unit)| (number, unit.to_owned())).to_vec(),
            date: date.clone(),
            command: command.to_owned(),
        }
    };
    Ok(counts.iter().map(row).collect())
}
