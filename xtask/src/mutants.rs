//! `cargo xtask mutants`: changes the engine in one place at a time, and counts the changes that no test of it notices.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    hardening::{self, Row},
    tools::{self, project_root},
};

/// The folders of `core/src` that decide.
const FOLDERS: [&str; 6] = ["body", "identity", "judge", "limit", "secret", "syntax"];
/// The test programs that have to notice a change.
const PROGRAMS: [&str; 4] = ["--lib", "--test=clients", "--test=engine", "--test=objects"];
/// Tests that take seconds each, and are left out: what only they would notice counts as missed.
const LONG: [&str; 4] = [
    "exchange_chains::however_many_callers",
    "exchange_chains::a_caller_with_many_jwts",
    "policy_issuers::a_mistake_in_thousands_of_entries",
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
    /// Try only the changes that no test noticed the last time. Their outcomes take the place of those.
    #[arg(long)]
    again: bool,
    /// Number of changes to try at the same time.
    #[arg(long, default_value_t = 2)]
    jobs: u8,
    /// Put the run into `docs/security/hardening.md`.
    #[arg(long)]
    record: bool,
}

/// The files that the runs since the last one without `--again` add up in, with those of a run that go into each. A change that makes
/// a test hang is noticed.
const LISTS: [(&str, &[&str]); 2] =
    [("caught.txt", &["caught.txt", "timeout.txt"]), ("unviable.txt", &["unviable.txt"])];

pub(crate) fn run(options: &Options) -> Result<()> {
    let output = project_root().join("target/mutants");
    fs::create_dir_all(&output)?;
    let of_run = output.join("mutants.out");
    let mut mutants = Command::new(tools::cargo_mutants()?);
    mutants.args(["mutants", "--package", "keyswap-core", "--no-shuffle"]);
    let missed = if options.again { lines(&of_run.join("missed.txt"))? } else { Vec::new() };
    if options.again {
        ensure!(!missed.is_empty(), "no change was missed the last time");
        mutants.args(missed.iter().map(|name| format!("--re=^{}$", escaped(name))));
        // Fields that are left out pass by every `--re`.
        let files: BTreeSet<_> = missed.iter().filter_map(|name| name.split(':').next()).collect();
        mutants.args(files.into_iter().map(|file| format!("--file={file}")));
    } else {
        let is_chosen = |name: &&str| options.folder.is_empty() || options.folder.iter().any(|it| it == name);
        let files = FOLDERS.into_iter().filter(is_chosen);
        mutants.args(files.map(|name| format!("--file=core/src/{name}/**")));
        mutants.args(["--sharding", "round-robin", "--shard", &options.share]);
    }
    mutants.args(["--jobs", &options.jobs.to_string()]).arg("--output").arg(&output);
    // A test may wait for an answer that a change keeps away.
    mutants.args(["--minimum-test-timeout", "60", "--cargo-arg=--locked"]);
    mutants.args(PROGRAMS.map(|program| format!("--cargo-test-arg={program}")));
    mutants.arg("--cargo-test-arg=--").args(LONG.map(|name| format!("--cargo-test-arg=--skip={name}")));
    mutants.current_dir(project_root());
    // A change compiles the engine anew, and little of it.
    mutants.envs([("CARGO_INCREMENTAL", "1"), ("CARGO_PROFILE_DEV_DEBUG", "0")]);
    let status = mutants.status().context("cannot run cargo-mutants")?;
    // 2: something was missed; 3: something took too long.
    ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo-mutants failed");
    let of_run = |name: &str| -> Result<Vec<String>> {
        let mut lines = lines(&of_run.join(name))?;
        lines.retain(|line| !options.again || missed.contains(line));
        Ok(lines)
    };
    let mut lists = Vec::new();
    for (name, parts) in LISTS {
        let file = output.join(name);
        let mut all = if options.again { lines(&file)? } else { Vec::new() };
        for part in parts {
            all.extend(of_run(part)?);
        }
        fs::write(&file, all.join("\n"))?;
        lists.push(by_folder(&all)?);
    }
    lists.push(by_folder(&of_run("missed.txt")?)?);
    let count = |list: usize, name: &str| lists[list].get(name).copied().unwrap_or_default();
    let counts: Vec<_> = FOLDERS.map(|name| (name, [0, 1, 2].map(|list| count(list, name)))).into();
    for (name, [caught, unviable, missed]) in &counts {
        println!("{name:<12}{caught:>6} caught{missed:>6} missed{unviable:>6} do not compile");
    }
    println!("what was missed: target/mutants/mutants.out/missed.txt");
    if options.record { record(&counts, &options.share) } else { Ok(()) }
}

/// Returns the lines of a file, one for each change; none where there is no file.
fn lines(file: &Path) -> Result<Vec<String>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    Ok(fs::read_to_string(file)?.lines().map(str::to_owned).collect())
}

/// Returns the regular expression of a text.
fn escaped(text: &str) -> String {
    let is_special = |byte: char| r"\.+*?()|[]{}^$".contains(byte);
    text.chars().flat_map(|byte| is_special(byte).then_some('\\').into_iter().chain([byte])).collect()
}

/// Counts changes by folder.
fn by_folder(changes: &[String]) -> Result<BTreeMap<&'static str, u64>> {
    let mut counts = BTreeMap::new();
    for change in changes {
        let is_in = |name: &&str| change.starts_with(&format!("core/src/{name}/"));
        let folder = FOLDERS.into_iter().find(is_in);
        *counts
            .entry(folder.with_context(|| format!("{change} is of no folder that decides"))?)
            .or_default() += 1;
    }
    Ok(counts)
}

/// Puts the counts into the book, in the place of earlier ones of the same folders.
fn record(counts: &[(&str, [u64; 3])], share: &str) -> Result<()> {
    let mut rows = hardening::read(FIGURES)?;
    for (name, [caught, _, missed]) in counts {
        let viable = caught + missed;
        let promise = format!("the tests of the engine hold each line of `{name}`");
        if viable == 0 {
            continue;
        }
        rows.retain(|row| row.promise != promise);
        let figures = [(viable, "changes"), (*caught, "noticed"), (caught * 100 / viable, "%")];
        rows.push(Row {
            promise,
            attack: "one operator, condition or result changed at a time".to_owned(),
            figures: figures.map(|(number, unit)| (number, unit.to_owned())).to_vec(),
            date: hardening::today()?,
            command: format!("cargo xtask mutants --folder {name} --share {share} --record"),
        });
    }
    rows.sort_by(|one, other| one.promise.cmp(&other.promise));
    hardening::write(FIGURES, &rows)
}
