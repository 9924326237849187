//! Tests that leave figures of promises: they run with the numbers of the promises, not those of CI.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    hardening::{self, Row},
    tools::{self, project_root},
};

use crate::test;

/// A file of figures, without its ending, with the promise and the attack.
pub(crate) type Promise = (&'static str, &'static str, &'static str);

/// The options of a task.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Put the run into `docs/security/hardening.md`.
    #[arg(long)]
    record: bool,
}

/// Returns the command that runs the tests of a module of `tests/tests`, for as long as they take.
pub(crate) fn tests_of(module: &str) -> Result<Command> {
    let mut tests = Command::new(tools::nextest()?);
    tests.args(["nextest", "run", "--workspace", "--locked", "--profile", "soak", "--no-capture"]);
    tests.args(["-E", &format!("test(/^{module}::/)")]);
    tests.envs(test::built(false)?).current_dir(project_root());
    Ok(tests)
}

/// Runs the tests of a module of `tests/tests`, and prints the figures that they leave. The task has the module's name.
pub(crate) fn run(module: &str, promises: &[Promise], options: &Options) -> Result<()> {
    let folder = project_root().join("target").join(module);
    fs::create_dir_all(&folder)?;
    let mut tests = tests_of(module)?;
    let status = tests.env(hardening::FIGURES, &folder).status().context("cannot run nextest")?;
    ensure!(status.success(), "a test failed");
    let mut rows = Vec::new();
    for (name, promise, attack) in promises {
        let text = fs::read_to_string(folder.join(format!("{name}.json")))?;
        let figures: Vec<(u64, String)> = serde_json::from_str(&text)?;
        for (number, unit) in &figures {
            println!("{name:<10}{number:>12} {unit}");
        }
        rows.push(Row {
            promise: (*promise).to_owned(),
            attack: (*attack).to_owned(),
            figures,
            date: hardening::today()?,
            command: format!("cargo xtask {module} --record"),
        });
    }
    if options.record { hardening::write(module, &rows) } else { Ok(()) }
}
