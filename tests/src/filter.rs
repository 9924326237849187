//! Builds what the end-to-end tests and the measurements run: Wasm modules, the `keyswap` command.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::tools::{self, project_root};

const TARGET: &str = "wasm32-wasip1";
/// Names a filter that is built already.
pub const FILTER_WASM_VARIABLE: &str = "KEYSWAP_FILTER_WASM";
/// Names a probe that is built already.
pub const PROBE_WASM_VARIABLE: &str = "KEYSWAP_PROBE_WASM";
/// Names a `keyswap` command that is built already.
pub const COMMAND_VARIABLE: &str = "KEYSWAP_COMMAND";

static FILTER: Mutex<Option<PathBuf>> = Mutex::new(None);
static PROBE: Mutex<Option<PathBuf>> = Mutex::new(None);
static COMMAND: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The filter's Wasm module: the one that `KEYSWAP_FILTER_WASM` names, else built now, once per process.
pub fn filter_wasm() -> Result<PathBuf> {
    once(&FILTER, FILTER_WASM_VARIABLE, || build_module("keyswap-filter"))
}

/// A filter that answers `GET /shared-data` with what Keyswap keeps in Envoy's shared data.
pub fn probe_wasm() -> Result<PathBuf> {
    once(&PROBE, PROBE_WASM_VARIABLE, || build_module("keyswap-probe"))
}

/// The `keyswap` command: the one that `KEYSWAP_COMMAND` names, else built now, once per process.
pub fn keyswap_command() -> Result<PathBuf> {
    once(&COMMAND, COMMAND_VARIABLE, || build(&["--package", "keyswap", "--bin", "keyswap"]))
}

fn once(
    known: &Mutex<Option<PathBuf>>,
    variable: &str,
    make: impl FnOnce() -> Result<PathBuf>,
) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable).map(PathBuf::from) {
        ensure!(path.is_file(), "`{variable}` names {}, which is not a file", path.display());
        return Ok(path);
    }
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if known.is_none() {
        *known = Some(make()?);
    }
    known.clone().context("what was just made is known")
}

/// A filter that does nothing, built in the same way.
pub(crate) fn empty_filter_wasm() -> Result<PathBuf> {
    build_module("keyswap-empty-filter")
}

fn build_module(package: &str) -> Result<PathBuf> {
    add_wasm_target()?;
    build(&["--package", package, "--profile", "wasm", "--target", TARGET])
}

/// The toolchain that the repository pins may be new on this machine.
fn add_wasm_target() -> Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut print = Command::new(rustc);
    print.args(["--print", "target-libdir", "--target", TARGET]).current_dir(project_root());
    let libraries = tools::run(&mut print, "install Rust from https://rustup.rs")?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    let remedy = "install Rust from https://rustup.rs, or add the target wasm32-wasip1 to your Rust";
    let mut add = Command::new("rustup");
    tools::run(add.args(["target", "add", TARGET]).current_dir(project_root()), remedy)?;
    Ok(())
}

/// Has cargo build one artifact, and returns its path, wherever the target folder is.
pub fn build(arguments: &[&str]) -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut child = Command::new(cargo)
        .args(["build", "--locked", "--message-format", "json-render-diagnostics"])
        .args(arguments)
        .current_dir(project_root())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `cargo`: install Rust from https://rustup.rs")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let artifact =
        BufReader::new(stdout).lines().map_while(Result::ok).filter_map(|line| artifact(&line)).last();
    let status = child.wait()?;
    ensure!(status.success(), "`cargo build {}` failed ({status})", arguments.join(" "));
    artifact.context("cargo built nothing")
}

/// The file in a message of cargo about something that can be run; the last such message is about what was asked for.
fn artifact(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let mut files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str).map(Path::new);
    let executable = message.get("executable").and_then(Value::as_str).map(Path::new);
    let module = files.find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    module.or(executable).map(Path::to_path_buf)
}
