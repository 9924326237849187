//! A baseline of instruction counts, and the comparison with it.

use std::{collections::BTreeMap, env, fmt, fmt::Write as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools;
use serde::{Deserialize, Serialize};

/// The tolerance in percent. A greater increase is an error, a greater decrease calls for a new baseline.
const TOLERANCE: f64 = 3.0;

/// The instruction counts of all decisions, with their compiler and architecture.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    /// The release of the compiler.
    rustc: String,
    /// The architecture.
    architecture: String,
    /// The counts, by the name of the decision.
    instructions: BTreeMap<String, u64>,
}

/// The count of a decision and the baseline's count.
#[derive(Debug)]
pub(super) struct Change {
    name: String,
    before: u64,
    now: u64,
}

impl Baseline {
    /// Returns counts of this machine, with its compiler and architecture.
    pub(super) fn made_here(instructions: BTreeMap<String, u64>) -> Result<Self> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut version = Command::new(rustc);
        version.arg("--version").current_dir(tools::project_root());
        let said = tools::run(&mut version, "install Rust from https://rustup.rs")?;
        // `rustc 1.95.0 (…)`
        let release = said.split(' ').nth(1).context("rustc does not say which release it is")?;
        Ok(Self { rustc: release.to_owned(), architecture: env::consts::ARCH.to_owned(), instructions })
    }

    pub(super) fn from_json(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    pub(super) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Compares the counts with a baseline. Another compiler, architecture or set of decisions is an error.
    pub(super) fn changes(&self, baseline: &Self) -> Result<Vec<Change>> {
        let made = |counts: &Self| (counts.rustc.clone(), counts.architecture.clone());
        let (here, there) = (made(self), made(baseline));
        ensure!(here == there, "the baseline is of {there:?}, this is {here:?}, which cannot be compared");
        let names = |counts: &Self| counts.instructions.keys().cloned().collect::<Vec<_>>();
        let (here, there) = (names(self), names(baseline));
        ensure!(here == there, "the baseline knows the decisions {there:?}, and these are {here:?}");
        let pairs = self.instructions.iter().zip(baseline.instructions.values());
        Ok(pairs
            .map(|((name, now), before)| Change { name: name.clone(), before: *before, now: *now })
            .collect())
    }

    /// Returns a table of the counts, beside those of a baseline.
    pub(super) fn table(&self, baseline: Option<&Self>) -> String {
        let mut table = format!("{:<20}{:>14}{:>14}{:>10}", "decision", "instructions", "baseline", "change");
        for (name, now) in &self.instructions {
            let before = baseline.and_then(|baseline| baseline.instructions.get(name));
            let change = before.map(|before| format!("{:+.2} %", percent(*before, *now))).unwrap_or_default();
            let before = before.map(u64::to_string).unwrap_or_default();
            let _ = write!(table, "\n{name:<20}{now:>14}{before:>14}{change:>10}");
        }
        table
    }
}

impl Change {
    pub(super) fn is_dearer(&self) -> bool {
        percent(self.before, self.now) > TOLERANCE
    }

    pub(super) fn is_cheaper(&self) -> bool {
        percent(self.before, self.now) < -TOLERANCE
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, before, now } = self;
        let (percent, word) = (percent(*before, *now), if now > before { "more" } else { "less" });
        let percent = percent.abs();
        write!(f, "`{name}` takes {now} instructions, {percent:.2} % {word} than the baseline's {before}")
    }
}

#[expect(clippy::cast_precision_loss, reason = "decisions take far less than 2^52 instructions")]
fn percent(before: u64, now: u64) -> f64 {
    (now as f64 - before as f64) / before as f64 * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(instructions: &[(&str, u64)]) -> Baseline {
        let instructions = instructions.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Baseline { rustc: "1.0.0".to_owned(), architecture: "x86_64".to_owned(), instructions }
    }

    #[test]
    fn only_what_takes_over_three_percent_more_is_dearer_and_both_numbers_are_told() -> Result<()> {
        for (now, dearer, cheaper) in [
            (1000, false, false),
            (1030, false, false),
            (1031, true, false),
            (970, false, false),
            (969, false, true),
        ] {
            let changes = counts(&[("jwt", now)]).changes(&counts(&[("jwt", 1000)]))?;
            assert_eq!((changes[0].is_dearer(), changes[0].is_cheaper()), (dearer, cheaper), "{now}");
            let text = changes[0].to_string();
            assert!(text.contains(&format!("{now} instructions")) && text.contains("1000"), "{text}");
        }
        Ok(())
    }

    #[test]
    fn what_was_counted_in_another_way_or_of_other_decisions_is_not_compared() {
        let baseline = counts(&[("jwt", 1000)]);
        let other_compiler = Baseline { rustc: "2.0.0".to_owned(), ..counts(&[("jwt", 1000)]) };
        let other_machine = Baseline { architecture: "aarch64".to_owned(), ..counts(&[("jwt", 1000)]) };
        for odd in [other_compiler, other_machine, counts(&[]), counts(&[("jwt", 1), ("new", 1)])] {
            assert!(odd.changes(&baseline).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_baseline_is_read_as_it_was_written() -> Result<()> {
        let written = counts(&[("jwt", 1000), ("preflight", 10)]).to_json()?;
        assert_eq!(Baseline::from_json(&written)?.to_json()?, written);
        Ok(())
    }
}
