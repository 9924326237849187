//! `cargo xtask test`: builds what the end-to-end tests run, then runs all tests of the workspace.

use std::{env, ffi::OsString, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{AUTHORIZER, Build, COMPONENT, FILTER, KEYSWAP, PASSTHROUGH, PROBE, RUST_EXAMPLE, tools};

/// What tests run, so that none of them builds it for itself.
const BUILDS: [&Build; 7] = [&FILTER, &PROBE, &COMPONENT, &AUTHORIZER, &PASSTHROUGH, &KEYSWAP, &RUST_EXAMPLE];

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Arguments for `cargo nextest run`, such as the name of a test.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    eprintln!("building the filter, the components and the `keyswap` command …");
    let mut tests = Command::new(tools::nextest()?);
    tests.args(["nextest", "run", "--workspace", "--locked"]).args(&options.nextest);
    for build in BUILDS {
        tests.env(build.variable, build.path()?);
    }
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
