//! Runs of `core/benches/instructions.rs` in Valgrind's Callgrind, one for each decision.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use keyswap_tests::tools::{self, project_root};

/// The counted function of the program. Functions that it calls are included.
const COUNTED: &str = "*keyswap_counted*";
/// The setting that makes the C library use its baseline routines, so that the counts do not depend on the CPU.
const TUNABLES: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX,-AVX2,-BMI1,-BMI2,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load");

/// Counts the instructions of every decision, by name. The counts by function stay in `target/instructions`, for
/// `callgrind_annotate`.
pub(super) fn count(valgrind: &Path, program: &Path) -> Result<BTreeMap<String, u64>> {
    let folder = project_root().join("target/instructions");
    fs::create_dir_all(&folder)?;
    let names = tools::run(&mut Command::new(program), "it was built a moment ago")?;
    names.lines().map(|name| Ok((name.to_owned(), count_one(valgrind, program, name, &folder)?))).collect()
}

fn count_one(valgrind: &Path, program: &Path, name: &str, folder: &Path) -> Result<u64> {
    let out: PathBuf = folder.join(format!("{name}.out"));
    // The environment's size moves the stack, and its variables may change the program's path.
    let mut command = Command::new(valgrind);
    command
        .env_clear()
        .envs([TUNABLES])
        .arg("--tool=callgrind")
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(name)
        .current_dir(folder);
    tools::run(&mut command, "it was found a moment ago")?;
    let text = fs::read_to_string(&out).with_context(|| format!("Valgrind wrote no {}", out.display()))?;
    counted(&text).with_context(|| format!("Valgrind counted nothing for `{name}`"))
}

/// Returns the line `totals:` of Callgrind's output, `None` if it is absent or 0.
fn counted(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_which_nothing_was_counted_is_no_count() {
        assert_eq!(counted("version: 1\nevents: Ir\nfn=(0)\n16 400\n\ntotals: 400\n"), Some(400));
        assert_eq!(counted("version: 1\nevents: Ir\n\ntotals: 0\n"), None);
        assert_eq!(counted("version: 1\n"), None);
    }
}
