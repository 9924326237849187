//! Asking before something is gone for good.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, bail};

use super::output;

/// Returns if the user agrees. Without a terminal to ask on, `yes` must have been given.
pub(in crate::command) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("this cannot be undone: say `--yes` if you mean it");
    }
    output::note(&format!("{question} This cannot be undone. Type `yes`:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        bail!("nothing was done");
    }
    Ok(())
}
