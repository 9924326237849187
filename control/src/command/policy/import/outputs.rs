//! The files that an import writes beside the policy.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;

use super::test_file;
use crate::command::terminal::{input, written};

/// The options of every import.
#[derive(Args)]
pub(super) struct Outputs {
    /// File of cases to write for `keyswap policy test`: what each token may call, and what not
    #[arg(long, value_name = "FILE", value_parser = written::path())]
    tests: Option<PathBuf>,
}

impl Outputs {
    /// Writes the file of cases for a policy, and returns the lines about it.
    ///
    /// # Errors
    /// A file that exists stays: people change cases after an import.
    pub(super) fn write_tests(&self, policy: &Value) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.tests else { return Ok(Vec::new()) };
        let tests = test_file::of(policy)?;
        if tests.cases == 0 {
            return Ok(vec!["tests: no file, for want of tokens".to_owned()]);
        }
        let failed = || format!("cannot write {}", input::name(path));
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).with_context(failed)?;
        file.write_all(tests.text.as_bytes()).with_context(failed)?;
        let mut lines = vec![format!("tests: {} cases in {}", tests.cases, input::name(path))];
        lines.extend(tests.missing.iter().map(|call| format!("tests: no case for {call}: write it by hand")));
        Ok(lines)
    }
}
