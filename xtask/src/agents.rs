//! `cargo xtask agents`: every coding agent of the tests, also those that take long to install.

use std::{env, process::Command};

use anyhow::{Result, ensure};
use keyswap_tests::{NATIVE, tools};

/// The variable that chooses the runs of agents.
const CHOICE: &str = "KEYSWAP_AGENTS";

/// The options of `cargo xtask agents`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// An agent, by its name or its command; all of them unless given.
    agent: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let status = Command::new(env::current_exe()?)
        .args(["test", "--no-capture", "-E", "binary(hosts) & test(/^agents::/)"])
        .current_dir(tools::project_root())
        .env(NATIVE, "1")
        .env(CHOICE, options.agent.as_deref().unwrap_or("all"))
        .status()?;
    ensure!(status.success(), "an agent failed");
    Ok(())
}
