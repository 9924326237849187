//! Runs the program of `core/benches/instructions.rs` in Valgrind's Callgrind, once for each decision.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use keyswap_tests::tools::{self, project_root};

/// The function of the program that is counted, with all that it calls.
const COUNTED: &str = "*keyswap_counted*";
/// The C library copies and compares in the way that every machine has, whatever else this one could.
const TUNABLES: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX,-AVX2,-BMI1,-BMI2,-ERMS,-FSRM,-AVX_Fast_Unaligned_Load");

/// The instructions of every decision, by its name. What was counted in which function is left in `target/instructions`,
/// for `callgrind_annotate`.
pub(super) fn count(valgrind: &Path, program: &Path) -> Result<BTreeMap<String, u64>> {
    let folder = project_root().join("target/instructions");
    fs::create_dir_all(&folder)?;
    let names = tools::run(&mut Command::new(program), "it was built a moment ago")?;
    names.lines().map(|name| Ok((name.to_owned(), count_one(valgrind, program, name, &folder)?))).collect()
}

fn count_one(valgrind: &Path, program: &Path, name: &str, folder: &Path) -> Result<u64> {
    let out: PathBuf = folder.join(format!("{name}.out"));
    // Nothing of this environment may move the stack or choose another way through the program.
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

/// The line `totals:` of a file of Callgrind's.
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
