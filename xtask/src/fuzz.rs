//! `cargo xtask fuzz`: feeds the scanners of bodies with inputs that coverage guides (libFuzzer).
//!
//! The targets are a package of their own, outside of the workspace: they are built with instrumentation, and only here.
//! The pinned stable toolchain is enough, since no sanitizer is used: `core` has no unsafe code.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools::{self, project_root};

/// The options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Target to run, a file in `fuzz/src/bin` [default: one after another].
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// The instrumentation that libFuzzer reads, as `cargo fuzz` sets it.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The beginning of a seed: the slices. The byte in front chooses the form.
const CUTS: [u8; 3] = [60, 120, 180];

pub(crate) fn run(options: &Options) -> Result<()> {
    let names = tools::files_below("fuzz/src/bin")?;
    let mut targets: Vec<_> = names.iter().filter_map(|name| name.strip_suffix(".rs")).collect();
    if let Some(target) = &options.target {
        ensure!(targets.contains(&target.as_str()), "there is no target `{target}`: {}", targets.join(", "));
        targets.retain(|name| name == target);
    }
    let built = build()?;
    for target in targets {
        let corpus = project_root().join("target/fuzz/corpus").join(target);
        fs::create_dir_all(&corpus)?;
        seed(&corpus)?;
        eprintln!("{target} …");
        let mut fuzzer = Command::new(built.join(target));
        fuzzer.arg(format!("-max_total_time={}", options.seconds)).arg("-max_len=8192").arg(&corpus);
        fuzzer.current_dir(project_root().join("target/fuzz"));
        let status = fuzzer.status().with_context(|| format!("cannot run the target `{target}`"))?;
        ensure!(status.success(), "`{target}` found an input, which is in `target/fuzz`");
    }
    Ok(())
}

/// Builds the targets. Returns the folder in which they are.
fn build() -> Result<PathBuf> {
    let version = tools::run(Command::new("rustc").arg("-vV"), "it comes with cargo")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let folder = project_root().join("target/fuzz");
    // With a target named, build scripts are built without the instrumentation.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--release", "--target", host]);
    cargo.current_dir(project_root().join("fuzz")).env("CARGO_TARGET_DIR", &folder).env("RUSTFLAGS", FLAGS);
    let status = cargo.status().context("cannot run cargo")?;
    ensure!(status.success(), "the targets cannot be built");
    Ok(folder.join(host).join("release"))
}

/// Writes the corpus of answers as seeds.
fn seed(corpus: &Path) -> Result<()> {
    for name in tools::files_below("core/tests/bodies")? {
        let choice = match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("json") => 0,
            Some("sse") => 1,
            Some("jsonl" | "ndjson") => 2,
            _ => continue,
        };
        let body = fs::read(project_root().join("core/tests/bodies").join(&name))?;
        let [first, second, third] = CUTS;
        fs::write(corpus.join(name), [&[choice, first, second, third], &body[..]].concat())?;
    }
    Ok(())
}
