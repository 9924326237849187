//! `cargo xtask test`: builds what the end-to-end tests run, then runs all tests of the workspace.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    COMMAND_VARIABLE, FILTER_WASM_VARIABLE, PROBE_WASM_VARIABLE, filter_wasm, keyswap_command, probe_wasm,
    tools,
};

const NEXTEST_VERSION: &str = "0.9.143";

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Arguments for `cargo nextest run`, such as the name of a test.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let nextest = nextest()?;
    eprintln!("building the filter and the `keyswap` command …");
    let filter = filter_wasm()?;
    let probe = probe_wasm()?;
    let command = keyswap_command()?;
    let mut tests = Command::new(nextest);
    tests
        .args(["nextest", "run", "--workspace", "--locked"])
        .args(&options.nextest)
        .env(FILTER_WASM_VARIABLE, &filter)
        .env(PROBE_WASM_VARIABLE, &probe)
        .env(COMMAND_VARIABLE, &command);
    passes(&mut tests)?;
    // Nextest leaves the examples in the documentation to cargo. A choice of tests is a choice of nextest's.
    if !options.nextest.is_empty() {
        return Ok(());
    }
    passes(cargo().args(["test", "--workspace", "--locked", "--doc"]))
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn passes(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .current_dir(tools::project_root())
        .status()
        .with_context(|| format!("cannot run `{program}`"))?;
    ensure!(status.success(), "some tests failed");
    Ok(())
}

/// The `cargo-nextest` on PATH, else one of a pinned release in `.tools`.
fn nextest() -> Result<PathBuf> {
    if let Some(nextest) = tools::on_path("cargo-nextest") {
        return Ok(nextest);
    }
    let folder = tools::installed("nextest", NEXTEST_VERSION, install_nextest)?;
    Ok(folder.join("bin/cargo-nextest"))
}

fn install_nextest(folder: &Path) -> Result<()> {
    eprintln!("installing cargo-nextest {NEXTEST_VERSION} into `.tools`, once; this takes a few minutes …");
    let status = cargo()
        .args(["install", "--locked", "--version", NEXTEST_VERSION, "--root"])
        .arg(folder)
        .arg("cargo-nextest")
        .status()?;
    ensure!(status.success(), "`cargo install cargo-nextest` failed");
    Ok(())
}
