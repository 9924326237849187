//! `cargo xtask instructions`: the instruction counts of the engine's decisions, compared with the repository's
//! baseline.
//!
//! Instruction counts vary much less than times between runs and machines. Valgrind counts them in a build with the
//! filter's profile for this machine. Counts of another architecture or toolchain are not comparable, so the baseline
//! names both.

mod baseline;
mod callgrind;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{build, tools};

use baseline::{Baseline, Change};

const BASELINE: &str = "core/benches/instructions.json";

/// The options of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write the counts as the new baseline.
    #[arg(long)]
    update: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let valgrind = tools::of_debian("valgrind", "valgrind")?;
    eprintln!("building the engine …");
    let program =
        build(&["--package", "keyswap-core", "--bench", "instructions", "--profile", "instructions"])?;
    let counted = Baseline::made_here(callgrind::count(&valgrind, &program)?)?;
    let file = tools::project_root().join(BASELINE);
    if options.update {
        fs::write(&file, counted.to_json()?).with_context(|| format!("cannot write {}", file.display()))?;
        println!("{}", counted.table(None));
        return Ok(());
    }
    compare(&counted, &file)
}

fn compare(counted: &Baseline, file: &PathBuf) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("there is no baseline: {RENEW}"))?;
    let baseline = Baseline::from_json(&text).with_context(|| format!("`{BASELINE}` cannot be read"))?;
    println!("{}", counted.table(Some(&baseline)));
    let changes = counted.changes(&baseline)?;
    for change in changes.iter().filter(|change| change.is_cheaper()) {
        println!("{change}: {RENEW}");
    }
    let dearer: Vec<_> = changes.iter().filter(|change| change.is_dearer()).map(Change::to_string).collect();
    ensure!(dearer.is_empty(), "{}\nIf that is meant, {RENEW}", dearer.join("\n"));
    Ok(())
}

const RENEW: &str = "renew the baseline with `cargo xtask instructions --update`";
