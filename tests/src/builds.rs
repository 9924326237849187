//! Builds of the programs that the end-to-end tests run: the filter, the components, and the `keyswap` command.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wit_component::ComponentEncoder;

use crate::{
    tools::{self, project_root},
    wasm_opt,
};

/// The variable with a compiler in the place of rustc. One that lints as well makes other code, so it builds only the tests.
const WRAPPER: &str = "RUSTC_WORKSPACE_WRAPPER";
const MODULE_TARGET: &str = "wasm32-wasip1";
const COMPONENT_TARGET: &str = "wasm32-wasip2";

/// A file that is built once per process, unless a variable names a file that is built already.
pub struct Build {
    /// The variable that names a built file.
    pub variable: &'static str,
    make: fn() -> Result<PathBuf>,
    made: Mutex<Option<PathBuf>>,
}

/// The filter's Wasm module.
pub static FILTER: Build = Build::new("KEYSWAP_FILTER_WASM", build_filter);
/// The dynamic module, without optimisation: its overflows and its misuse of memory are caught.
pub static MODULE: Build =
    Build::new("KEYSWAP_MODULE", || as_envoy_names_it(&of_workspace("libkeyswap_module")?));
/// The dynamic module as it is released.
pub(crate) static RELEASED_MODULE: Build = Build::new("KEYSWAP_RELEASED_MODULE", || {
    as_envoy_names_it(&build(&["--package", "keyswap-module", "--release"])?)
});
/// A filter that answers `GET /shared-data` with Keyswap's values in Envoy's shared data.
pub static PROBE: Build = Build::new("KEYSWAP_PROBE_WASM", || build_wasm("keyswap-probe", MODULE_TARGET));
/// The empty filter.
pub(crate) static EMPTY_FILTER: Build =
    Build::new("KEYSWAP_EMPTY_FILTER_WASM", || build_wasm("keyswap-empty-filter", MODULE_TARGET));
/// The component: the proxy and the authorizer.
pub static COMPONENT: Build = Build::new("KEYSWAP_COMPONENT_WASM", build_component);
/// The authorizer alone, which imports nothing.
pub static AUTHORIZER: Build = Build::new("KEYSWAP_AUTHORIZER_WASM", build_authorizer);
/// A component that only forwards.
pub static PASSTHROUGH: Build =
    Build::new("KEYSWAP_PASSTHROUGH_WASM", || build_wasm("keyswap-passthrough", COMPONENT_TARGET));
/// The `keyswap` command.
pub static KEYSWAP: Build =
    Build::new("KEYSWAP_COMMAND", || build(&["--package", "keyswap", "--bin", "keyswap"]));

/// The example of `component/examples/rust`, which is not a member of the workspace.
pub static RUST_EXAMPLE: Build = Build::new("KEYSWAP_RUST_EXAMPLE", || {
    let manifest = "component/examples/rust/Cargo.toml";
    build(&["--manifest-path", manifest, "--target-dir", "target/examples-rust"])
});

impl Build {
    const fn new(variable: &'static str, make: fn() -> Result<PathBuf>) -> Self {
        Self { variable, make, made: Mutex::new(None) }
    }

    /// Returns the file that the variable names, or else builds it.
    pub fn path(&self) -> Result<PathBuf> {
        if let Some(path) = env::var_os(self.variable).map(PathBuf::from) {
            ensure!(path.is_file(), "`{}` names {}, which is not a file", self.variable, path.display());
            return Ok(path);
        }
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.is_none() {
            *made = Some((self.make)()?);
        }
        made.clone().context("what was just made is known")
    }
}

fn build_wasm(package: &str, target: &str) -> Result<PathBuf> {
    build_module(&project_root(), package, target)
}

/// Builds a Wasm module whose bytes do not depend on the machine: its folders are renamed in the module.
///
/// `root` has the sources: this project, or a copy elsewhere, whose `target` then holds the build.
pub fn build_module(root: &Path, package: &str, target: &str) -> Result<PathBuf> {
    add_target(target)?;
    let root = root.canonicalize().with_context(|| format!("{} is not there", root.display()))?;
    let flags = format!("target.{target}.rustflags = {:?}", remapped(&root)?);
    let mut cargo = cargo_build(&root);
    cargo.args(["--package", package, "--profile", "wasm", "--target", target, "--config", &flags]);
    let elsewhere = root != project_root().canonicalize()?;
    // Cargo locks a target folder, so those of two targets are built concurrently in two.
    let folder = if target == COMPONENT_TARGET { "target/components" } else { "target" };
    if elsewhere || target == COMPONENT_TARGET {
        cargo.arg("--target-dir").arg(root.join(folder));
    }
    // The variables would override all configured flags.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    artifact_of(&mut cargo)
}

/// Returns flags in addition to those in `.cargo/config.toml`. They rename the folders of the sources, which panics
/// contain.
pub(crate) fn remapped(root: &Path) -> Result<[String; 2]> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo"))).context("there is no home folder")?;
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    Ok([remap(root, "/keyswap"), remap(&home, "/cargo")])
}

fn build_filter() -> Result<PathBuf> {
    let large = build_wasm("keyswap-filter", MODULE_TARGET)?;
    derive(&large, "keyswap.filter.wasm", wasm_opt::filter)
}

fn as_envoy_names_it(library: &Path) -> Result<PathBuf> {
    derive(library, "libkeyswap.so", |library| Ok(library.to_vec()))
}

fn build_component() -> Result<PathBuf> {
    let large = build_wasm("keyswap-component", COMPONENT_TARGET)?;
    derive(&large, "keyswap.wasm", wasm_opt::component)
}

/// Builds a module for WASI preview 1. A stub implements its few imports, so the component imports nothing.
fn build_authorizer() -> Result<PathBuf> {
    let module = build_wasm("keyswap-component", MODULE_TARGET)?;
    derive(&module, "keyswap-authorizer.wasm", |module| {
        let stub = wat::parse_file(project_root().join("component/wasi-stub.wat"))?;
        let component = ComponentEncoder::default()
            .validate(true)
            .module(module)?
            .adapter("wasi_snapshot_preview1", &stub)?
            .encode()
            .context("the authorizer's module makes no component")?;
        wasm_opt::component(&component)
    })
}

/// Derives a file from `source`, beside it, unless the derived file is newer than that and than this program.
fn derive(source: &Path, name: &str, make: impl FnOnce(&[u8]) -> Result<Vec<u8>>) -> Result<PathBuf> {
    let path = source.with_file_name(name);
    let changed = |path: &Path| fs::metadata(path)?.modified();
    let newest = changed(source)?.max(changed(&env::current_exe()?)?);
    if changed(&path).is_ok_and(|made| newest < made) {
        return Ok(path);
    }
    let content = make(&fs::read(source)?)?;
    // Other processes may do the same: renaming is atomic, so readers find a complete file.
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    fs::write(&partial, content)?;
    fs::rename(partial, &path)?;
    Ok(path)
}

/// Installs a compilation target, which the pinned toolchain may lack on this machine.
pub(crate) fn add_target(target: &str) -> Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut print = Command::new(rustc);
    print.args(["--print", "target-libdir", "--target", target]).current_dir(project_root());
    let libraries = tools::run(&mut print, "install Rust from https://rustup.rs")?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    let remedy = format!("install Rust from https://rustup.rs, or add the target {target} to your Rust");
    let mut add = Command::new("rustup");
    tools::run(add.args(["target", "add", target]).current_dir(project_root()), &remedy)?;
    Ok(())
}

/// Builds the tests, programs and libraries of the workspace, and returns the `keyswap` command.
pub fn build_workspace() -> Result<PathBuf> {
    of_workspace("keyswap")
}

/// Builds the workspace, and returns one of its files.
///
/// A build of several packages unifies the features of their dependencies. One build for all packages avoids building
/// most dependencies twice.
fn of_workspace(stem: &str) -> Result<PathBuf> {
    let mut cargo = cargo_build(&project_root());
    if let Some(wrapper) = env::var_os(WRAPPER) {
        cargo.env(WRAPPER, wrapper);
    }
    let files = artifacts_of(cargo.args(["--workspace", "--tests", "--bins", "--lib"]))?;
    let mut found = files.into_iter().filter(|path| path.file_stem().is_some_and(|name| name == stem));
    found.next_back().with_context(|| format!("there is no `{stem}` in the workspace"))
}

/// Builds one artifact with cargo, and returns its path in any target folder.
pub fn build(arguments: &[&str]) -> Result<PathBuf> {
    artifact_of(cargo_build(&project_root()).args(arguments))
}

fn cargo_build(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--message-format", "json-render-diagnostics"]).current_dir(root);
    cargo.env_remove(WRAPPER);
    cargo
}

fn artifact_of(cargo: &mut Command) -> Result<PathBuf> {
    // The last artifact is the requested one.
    artifacts_of(cargo)?.pop().context("cargo built nothing")
}

pub(crate) fn artifacts_of(cargo: &mut Command) -> Result<Vec<PathBuf>> {
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run `cargo`: install Rust from https://rustup.rs")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let artifacts = lines.filter_map(|line| artifact(&line)).collect();
    let status = child.wait()?;
    ensure!(status.success(), "{cargo:?} failed ({status})");
    Ok(artifacts)
}

/// Returns the file in a message of cargo about a program or a module, `None` for other messages.
fn artifact(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let mut files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str).map(Path::new);
    let executable = message.get("executable").and_then(Value::as_str).map(Path::new);
    let module =
        files.find(|file| file.extension().is_some_and(|extension| extension == "wasm" || extension == "so"));
    module.or(executable).map(Path::to_path_buf)
}
