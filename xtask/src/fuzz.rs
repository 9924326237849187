//! `cargo xtask fuzz`: feeds the fuzz targets with inputs that coverage guides (libFuzzer).
//!
//! The targets are a package of their own, outside of the workspace: they are built with instrumentation, and only here.
//! The pinned stable toolchain is enough, since no sanitizer is used: `core` has no unsafe code.

#[path = "../../fuzz/src/corpus.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a part of the fuzz package, too")]
mod corpus;
#[path = "../../fuzz/src/promises.rs"]
#[allow(unreachable_pub, reason = "it is a part of the fuzz package, too")]
mod promises;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Meter,
    hardening::{self, Row},
    tools::{self, project_root},
};

use promises::PROMISES;

/// The options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Targets to run, names in `fuzz/src/promises.rs` [default: all].
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Seconds of a run.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Run targets again, always the one with the least on record, until each has so many seconds of CPU time there.
    #[arg(long, value_name = "SECONDS", requires = "record")]
    until: Option<u64>,
    /// Put the run into `docs/security/hardening.md`, and new inputs into `fuzz/corpus`.
    #[arg(long)]
    record: bool,
}

/// The instrumentation that libFuzzer reads, as `cargo fuzz` sets it.
const FLAGS: &str = "--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The beginning of a seed of bodies: the slices. The byte in front chooses the form.
const CUTS: [u8; 3] = [60, 120, 180];
/// The targets that get answers of providers as seeds.
const OF_ANSWERS: [&str; 4] = ["answer", "events", "json", "list"];
/// The longest input that goes into the repository, and the longest corpus, in bytes.
const MAX_INPUT_BYTES: usize = 600;
const MAX_CORPUS_BYTES: usize = 13_000;
/// The name of the file of figures.
const FIGURES: &str = "fuzz";
/// The unit of the time that is recorded.
const CPU_TIME: &str = "s of CPU time";

/// The folders and the program of one target.
struct Target<'t> {
    name: &'t str,
    program: &'t Path,
    /// The inputs that this machine has.
    inputs: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let names: Vec<&str> = PROMISES.iter().map(|(name, _)| *name).collect();
    for target in &options.targets {
        ensure!(names.contains(&target.as_str()), "there is no target `{target}`: {}", names.join(", "));
    }
    let mut chosen = PROMISES.to_vec();
    chosen.retain(|(name, _)| {
        options.targets.is_empty() || options.targets.iter().any(|target| target == name)
    });
    let program = build()?;
    let Some(until) = options.until else {
        return chosen.into_iter().try_for_each(|target| fuzz(&program, target, options));
    };
    while let Some((target, seconds)) = least_fuzzed(&chosen)? {
        if seconds >= until {
            break;
        }
        fuzz(&program, target, options)?;
    }
    Ok(())
}

/// Runs one target.
fn fuzz(program: &Path, (name, promise): (&str, &str), options: &Options) -> Result<()> {
    let target = Target { name, program, inputs: project_root().join("target/fuzz/corpus").join(name) };
    target.seed()?;
    let (seconds, executions) = target.fuzz(options.seconds)?;
    eprintln!("{name}: {executions} inputs in {seconds} s of CPU time");
    if options.record {
        let length = target.keep_inputs()?;
        eprintln!("{name}: {length} inputs in the repository");
        record(name, promise, seconds, executions)?;
    }
    Ok(())
}

/// Returns the target that has the least CPU time on record, and that time in seconds.
fn least_fuzzed<'t>(targets: &[(&'t str, &'t str)]) -> Result<Option<((&'t str, &'t str), u64)>> {
    let rows = hardening::read(FIGURES)?;
    let seconds_of = |name: &str| {
        let row = rows.iter().find(|row| row.command == command_of(name))?;
        row.figures.iter().find(|(_, unit)| unit == CPU_TIME).map(|(seconds, _)| *seconds)
    };
    let times = targets.iter().map(|target| (*target, seconds_of(target.0).unwrap_or_default()));
    Ok(times.min_by_key(|(_, seconds)| *seconds))
}

/// Builds the targets. Returns the program.
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
    Ok(folder.join(host).join("release/fuzz"))
}

impl Target<'_> {
    /// Writes the corpus of the repository, and the answers of providers where the target reads bodies.
    fn seed(&self) -> Result<()> {
        write_all(&self.inputs, &self.corpus()?)?;
        if !OF_ANSWERS.contains(&self.name) {
            return Ok(());
        }
        for name in tools::files_below("core/tests/bodies")? {
            let choice = match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
                Some("json") => 0,
                Some("sse") => 1,
                Some("jsonl" | "ndjson") => 2,
                _ => continue,
            };
            let body = fs::read(project_root().join("core/tests/bodies").join(&name))?;
            let [first, second, third] = CUTS;
            fs::write(self.inputs.join(name), [&[choice, first, second, third], &body[..]].concat())?;
        }
        Ok(())
    }

    /// Runs the target. Returns the seconds of CPU time and the number of inputs.
    fn fuzz(&self, seconds: u32) -> Result<(u64, u64)> {
        let log = project_root().join("target/fuzz").join(format!("{}.log", self.name));
        let before = Meter::own().children_time()?;
        let mut fuzzer = Command::new(self.program);
        fuzzer.arg(format!("-max_total_time={seconds}")).args(["-max_len=8192", "-print_final_stats=1"]);
        fuzzer.arg(&self.inputs).env("TARGET", self.name).current_dir(project_root().join("target/fuzz"));
        let status = fuzzer.stderr(File::create(&log)?).status().context("cannot run the target")?;
        let told = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        ensure!(status.success(), "`{}` found an input, see {}:\n{told}", self.name, log.display());
        let executions = told.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let executions = executions.context("libFuzzer tells no number of inputs")?.trim().parse()?;
        Ok((Meter::own().children_time()?.saturating_sub(before).as_secs(), executions))
    }

    fn corpus_file(&self) -> PathBuf {
        project_root().join(format!("fuzz/corpus/{}.txt", self.name))
    }

    /// Returns the corpus of the repository.
    fn corpus(&self) -> Result<Vec<Vec<u8>>> {
        let path = self.corpus_file();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        corpus::read(&text).with_context(|| format!("{} is no corpus", path.display()))
    }

    /// Adds to the corpus of the repository the inputs that reach what no other one does, the shortest first. Returns the
    /// number of all.
    fn keep_inputs(&self) -> Result<usize> {
        let mut kept = self.corpus()?;
        let merged = tempfile::tempdir()?;
        write_all(merged.path(), &kept)?;
        let mut fuzzer = Command::new(self.program);
        fuzzer.args(["-merge=1", "-max_len=600"]).arg(merged.path()).arg(&self.inputs);
        fuzzer.env("TARGET", self.name).current_dir(project_root().join("target/fuzz"));
        let log = File::create(project_root().join("target/fuzz").join(format!("{}.merge.log", self.name)))?;
        let status = fuzzer.stderr(log).status().context("cannot run the target")?;
        ensure!(status.success(), "the inputs of `{}` cannot be merged", self.name);
        let entries = fs::read_dir(merged.path())?;
        let mut found = entries.map(|entry| Ok(fs::read(entry?.path())?)).collect::<Result<Vec<_>>>()?;
        found.retain(|input| input.len() <= MAX_INPUT_BYTES && !kept.contains(input));
        found.sort_by_key(|input| (input.len(), input.clone()));
        for input in found {
            kept.push(input);
            if corpus::write(&kept).len() > MAX_CORPUS_BYTES {
                kept.pop();
                break;
            }
        }
        fs::write(self.corpus_file(), corpus::write(&kept))?;
        Ok(kept.len())
    }
}

/// Writes inputs into a folder, each as a file.
fn write_all(folder: &Path, inputs: &[Vec<u8>]) -> Result<()> {
    fs::create_dir_all(folder)?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("of-repository-{number}")), input)?;
    }
    Ok(())
}

/// Returns the command of a target, which names its row.
fn command_of(name: &str) -> String {
    format!("cargo xtask fuzz {name} --record")
}

/// Adds a run to the figures of its target. Runs of other targets may end at the same time.
fn record(name: &str, promise: &str, seconds: u64, executions: u64) -> Result<()> {
    let lock = File::create(project_root().join("target/fuzz/record.lock"))?;
    lock.lock()?;
    let mut row = Row {
        promise: promise.to_owned(),
        attack: "inputs that coverage guides".to_owned(),
        figures: vec![(seconds, CPU_TIME.to_owned()), (executions, "inputs".to_owned())],
        date: hardening::today()?,
        command: command_of(name),
    };
    let mut rows = hardening::read(FIGURES)?;
    let before = rows.iter().position(|other| other.command == row.command);
    if let Some(before) = before {
        row.add(&rows.remove(before));
    }
    rows.push(row);
    rows.sort_by(|one, other| one.command.cmp(&other.command));
    hardening::write(FIGURES, &rows)
}
