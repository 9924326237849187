//! The cost of scanning bodies in Wasm, which `cargo xtask scan-cost` measures.

use std::{fmt::Write as _, fs, process::Command};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    figures::{heading, processor},
    hardening::today,
    tools::{self, project_root},
};

/// The file with the figures of the documents.
const FILE: &str = "tests/bench/scanning.json";
/// The most of each unit: of the CPU time of a body or of an event, and of the state of a stream.
const TARGETS: [(&str, f64); 3] = [("ms/MB", 2.5), ("µs", 3.0), ("bytes", 8192.0)];

/// One run of the program that scans.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scanning {
    /// The day, as `2026-01-31`.
    pub date: String,
    /// The model of the processor.
    pub processor: String,
    /// The measured scans, in the order of the program.
    pub scans: Vec<Scan>,
}

/// The cost of one scan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// The kind of body or event, or the state that is meant.
    pub name: String,
    /// The figure.
    pub figure: f64,
    /// The unit of the figure: `ms/MB`, `µs` or `bytes`.
    pub unit: String,
}

impl Scanning {
    /// Runs the program in Wasmtime.
    ///
    /// # Errors
    /// The program fails, or prints something else than its table.
    pub fn measure(program: &std::path::Path) -> Result<Self> {
        let mut wasmtime = Command::new(tools::wasmtime()?);
        let table = tools::run(wasmtime.arg("run").arg(program), "it was built a moment ago")?;
        let scans = table.lines().map(scan).collect::<Result<_>>()?;
        Ok(Self { date: today()?, processor: processor(), scans })
    }

    /// Reads the figures of the documents.
    ///
    /// # Errors
    /// The file is missing, or holds something else.
    pub fn committed() -> Result<Self> {
        let text = fs::read_to_string(project_root().join(FILE)).with_context(|| FILE.to_owned())?;
        serde_json::from_str(&text).with_context(|| FILE.to_owned())
    }

    /// Writes the figures of the documents.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string(self)?.replace("{\"name\"", "\n{\"name\"") + "\n";
        fs::write(project_root().join(FILE), text).with_context(|| FILE.to_owned())
    }

    /// Returns the table, with the targets.
    ///
    /// # Errors
    /// A unit has no target.
    pub fn table(&self) -> Result<String> {
        let mut text = format!(
            "Measured with `cargo xtask scan-cost` on {} ({}).\n\n{}",
            self.date,
            self.processor,
            heading(&["scan", "cost", "at most", ""])
        );
        for Scan { name, figure, unit } in &self.scans {
            let target = TARGETS.iter().find(|(of, _)| of == unit);
            let (_, most) = target.with_context(|| format!("`{unit}` has no target"))?;
            let verdict = if figure <= most { "holds" } else { "**missed**" };
            let _ = writeln!(text, "| {name} | {figure} {unit} | {most} {unit} | {verdict} |");
        }
        Ok(text)
    }
}

/// Reads a line of the program: the name, the figure and the unit, with tabs between them.
fn scan(line: &str) -> Result<Scan> {
    let mut cells = line.split('\t');
    let (Some(name), Some(figure), Some(unit), None) =
        (cells.next(), cells.next(), cells.next(), cells.next())
    else {
        anyhow::bail!("the program prints `{line}`, and not a name, a figure and a unit");
    };
    let figure = figure.parse().with_context(|| format!("`{figure}` of `{name}` is no number"))?;
    Ok(Scan { name: name.to_owned(), figure, unit: unit.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_above_its_target_is_shown_as_missed() {
        let lines = ["dense\t2.51\tms/MB", "event\t3\tµs", "state\t8192\tbytes"];
        let scans: Vec<Scan> = lines.iter().filter_map(|line| scan(line).ok()).collect();
        assert_eq!(scans.len(), lines.len());
        let of = |scans| Scanning { date: "2026-01-31".to_owned(), processor: "p".to_owned(), scans };
        let table = of(scans).table().unwrap_or_default();
        let verdicts: Vec<_> = table.lines().skip(4).filter_map(|line| line.split(" | ").nth(3)).collect();
        assert_eq!(verdicts, ["**missed** |", "holds |", "holds |"]);
        assert!(["", "a\tb\tms/MB", "a\t1", "a\t1\tµs\t"].iter().all(|line| scan(line).is_err()));
        let unknown = Scan { name: "a".to_owned(), figure: 1.0, unit: "s".to_owned() };
        assert!(of(vec![unknown]).table().is_err());
    }
}
