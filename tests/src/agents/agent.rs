//! An agent: its package, its blocks, and how it is run without a terminal.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{
    clients::matrix::Provider,
    tools::{node_packages, project_root, python_packages},
};

const FOLDER: &str = "tests/clients/agents";
const PYTHON_LOCK: &str = "aider.txt";

/// A run of an agent.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    /// The name, which is its heading in the book.
    pub name: &'static str,
    /// The origin of the package.
    pub origin: Origin,
    /// The package that developers install.
    pub package: &'static str,
    /// The name of the program, as the block calls it.
    pub command: &'static str,
    /// The program in the folder of the packages.
    pub program: &'static str,
    /// Blocks that are files, with their places in the home folder.
    pub files: &'static [(&'static str, &'static str)],
    /// The block for the shell. Its last line starts the agent.
    pub shell: &'static str,
    /// Arguments behind that line: a question to answer without a terminal.
    pub question: &'static str,
    /// Variables of the run, beside those of the block.
    pub variables: &'static [(&'static str, &'static str)],
    /// The provider that answers.
    pub provider: Provider,
    /// The target at the provider.
    pub target: &'static str,
    /// Set for a run in every run of the tests. Others are runs of `cargo xtask agents`.
    pub is_always: bool,
}

/// The origin of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// npm, in seconds.
    Npm,
    /// npm, with what takes longer.
    MoreOfNpm,
    /// `PyPI`.
    PyPi,
}

impl Agent {
    /// Installs the package, and returns the folder of the packages.
    ///
    /// # Errors
    ///
    /// npm or pip fails.
    pub fn packages(&self) -> Result<PathBuf> {
        let folder = project_root().join(FOLDER);
        Ok(match self.origin {
            Origin::Npm => node_packages("agents", &folder)?.join("node_modules"),
            Origin::MoreOfNpm => node_packages("more-agents", &folder.join("more"))?.join("node_modules"),
            Origin::PyPi => python_packages("aider", &folder.join(PYTHON_LOCK))?,
        })
    }

    /// Returns the release in the lock file.
    ///
    /// # Errors
    ///
    /// The lock file cannot be read, or does not name the package.
    pub fn release(&self) -> Result<String> {
        let folder = project_root().join(FOLDER);
        let release = match self.origin {
            Origin::Npm => node_release(&fs::read_to_string(folder.join("package-lock.json"))?, self.package),
            Origin::MoreOfNpm => {
                node_release(&fs::read_to_string(folder.join("more/package-lock.json"))?, self.package)
            }
            Origin::PyPi => python_release(&fs::read_to_string(folder.join(PYTHON_LOCK))?, self.package),
        };
        release.with_context(|| format!("the lock names no release of `{}`", self.package))
    }
}

fn node_release(lock: &str, package: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(lock).ok()?;
    lock["packages"][format!("node_modules/{package}")]["version"].as_str().map(str::to_owned)
}

fn python_release(lock: &str, package: &str) -> Option<String> {
    let (_, rest) = lock.split_once(&format!("\n{package}=="))?;
    rest.split_whitespace().next().map(str::to_owned)
}
