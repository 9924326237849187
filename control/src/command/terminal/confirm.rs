//! Confirmation of actions that cannot be undone, or that take effect everywhere.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, bail};

use super::output;

/// Returns `Ok` if the user confirms or `yes` is set. Without a terminal to ask on, `yes` is required.
pub(in crate::command) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("there is no terminal to ask at: pass `--yes` to confirm");
    }
    output::note(&format!("{question} Type `yes`:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        bail!("cancelled");
    }
    Ok(())
}
