//! The generated parts of README.md: tables of what the code has and of what was measured, files that are tested.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::answer::Reason;

use crate::{
    KEYSWAP,
    clients::matrix::{ROWS, WS},
    figures::{self, Report},
    tools::project_root,
};

/// README.md as it is, and as it should be.
pub fn current() -> Result<(String, String)> {
    let text = fs::read_to_string(project_root().join("README.md"))?;
    let mut current = text.clone();
    for name in [
        "envoy/policy.yaml",
        "envoy/policy.tests.yaml",
        "envoy/policy-registry.yaml",
        "envoy/policy-credentials.yaml",
    ] {
        let policy = fs::read_to_string(project_root().join(name))?;
        let start = format!("<!-- file: {name} -->\n```yaml\n");
        current = replace_between(&current, &start, "```\n", &policy)?;
    }
    for (name, end, table) in [
        ("reasons", "\n## ", reasons()),
        ("lints", "\n### ", lints()?),
        ("clients", "\nA WebSocket", clients()?),
        ("performance", "\n## ", figures::document(&Report::committed()?)),
    ] {
        let start = format!("<!-- generated: {name} -->\n");
        current = replace_between(&current, &start, end, &format!("\n{table}"))?;
    }
    Ok((text, current))
}

/// Writes the generated parts anew.
pub fn update() -> Result<()> {
    let (_, current) = current()?;
    Ok(fs::write(project_root().join("README.md"), current)?)
}

fn reasons() -> String {
    let mut table = "| code | status | what the caller reads |\n|---|---|---|\n".to_owned();
    for reason in Reason::ALL {
        let _ = writeln!(table, "| `{reason}` | {} | {} |", reason.status(), reason.message());
    }
    table
}

/// Every finding of `policy lint`, as the command lists them.
fn lints() -> Result<String> {
    let output = Command::new(KEYSWAP.path()?).args(["policy", "lint", "--list"]).output()?;
    ensure!(output.status.success(), "`policy lint --list` fails");
    Ok(String::from_utf8(output.stdout)?)
}

fn clients() -> Result<String> {
    let mut table = "| language | library | release | base URL |\n|---|---|---|---|\n".to_owned();
    for row in &ROWS {
        let (name, release) = row.described()?;
        let _ = writeln!(table, "| {:?} | {name} | {release} | `W{}` |", row.library.language, row.base_path);
    }
    let _ = writeln!(table, "| Node | `ws`, realtime | {} | `W/v1/realtime` |", WS.version()?);
    table.push_str("| | `curl` with `?key=` | the machine's | `W` |\n");
    Ok(table)
}

fn replace_between(text: &str, start: &str, end: &str, with: &str) -> Result<String> {
    let (before, rest) = text.split_once(start).with_context(|| format!("README.md lacks `{start}`"))?;
    let at = rest.find(end).with_context(|| format!("README.md lacks `{end}` after `{start}`"))?;
    ensure!(!with.contains(end), "what is generated after `{start}` holds its own end");
    Ok(format!("{before}{start}{with}{}", &rest[at..]))
}
