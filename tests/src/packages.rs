//! The packages of the authorizer for Node and Python: the folders of `packaging`, with the authorizer in them.
//!
//! Packing depends on the sources, the locks of `tests/hosts`, and the Node and Python of the machine. It reads no clock, and
//! the name of no folder gets into a package.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    builds::AUTHORIZER,
    tools::{self, NODE_REMEDY, PYTHON_REMEDY, files_below, fingerprint, installed, project_root},
};

/// The time of every file in an archive: the earliest that a zip file can tell.
const EARLIEST: &str = "315532800";
/// Folders that checkers of types and interpreters leave in the sources.
const LEFT_BEHIND: [&str; 3] = ["__pycache__", ".mypy_cache", "node_modules"];

/// A package for users of another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// `keyswap` for Node, Deno and Bun, as `npm pack` makes it.
    Npm,
    /// `keyswap-asgi` for Python: a wheel, and an archive of the sources.
    Python,
}

impl Package {
    /// All packages.
    pub const ALL: [Self; 2] = [Self::Npm, Self::Python];

    fn folder(self) -> &'static str {
        match self {
            Self::Npm => "packaging/npm",
            Self::Python => "packaging/python",
        }
    }

    /// Returns the files of the package. They are made once for the same sources.
    pub fn packed(self) -> Result<Vec<PathBuf>> {
        let mut made_of: Vec<PathBuf> =
            self.sources()?.into_iter().map(|path| project_root().join(self.folder()).join(path)).collect();
        let lock = match self {
            Self::Npm => "tests/hosts/package-lock.json",
            Self::Python => "tests/hosts/python.txt",
        };
        // With the packing itself.
        let others = ["LICENSE", lock, "tests/src/packages.rs"].map(|path| project_root().join(path));
        made_of.extend(others);
        made_of.push(AUTHORIZER.path()?);
        let name = self.folder().replace('/', "-");
        let folder = installed(&name, &fingerprint(&made_of)?, |folder| self.pack(folder))?;
        let mut files = fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
        files.sort();
        Ok(files)
    }

    /// Returns the file that users install.
    pub fn file(self) -> Result<PathBuf> {
        let extension = if self == Self::Npm { "tgz" } else { "whl" };
        let mut files = self.packed()?.into_iter();
        let file = files.find(|file| file.extension().is_some_and(|other| other == extension));
        file.with_context(|| format!("{self:?} was not packed"))
    }

    /// Packs into a folder.
    pub fn pack(self, into: &Path) -> Result<()> {
        let stage = tempfile::tempdir()?;
        for path in self.sources()? {
            copy(&project_root().join(self.folder()).join(&path), &stage.path().join(&path))?;
        }
        copy(&project_root().join("LICENSE"), &stage.path().join("LICENSE"))?;
        match self {
            Self::Npm => pack_npm(stage.path(), into),
            Self::Python => pack_python(stage.path(), into),
        }
    }

    /// Returns a new folder for a program that uses the package, and the environment that the program needs.
    pub fn install_into_new_folder(self) -> Result<Place> {
        let folder = tempfile::tempdir()?;
        let environment = match self {
            Self::Npm => {
                symlink(node_programs()?.join("node_modules"), folder.path().join("node_modules"))?;
                Vec::new()
            }
            Self::Python => {
                let own = env::var_os("PATH").unwrap_or_default();
                let programs = [tools::python_host()?.join("bin")];
                let path = env::join_paths(programs.into_iter().chain(env::split_paths(&own)))?;
                vec![("PATH", path), ("PYTHONPATH", python_path()?)]
            }
        };
        Ok(Place { folder, environment })
    }

    fn sources(self) -> Result<Vec<String>> {
        let is_source = |path: &String| !path.split('/').any(|part| LEFT_BEHIND.contains(&part));
        Ok(files_below(self.folder())?.into_iter().filter(is_source).collect())
    }
}

/// A folder in which a package is installed.
pub struct Place {
    /// The folder, which is removed on drop.
    pub folder: TempDir,
    /// The variables of programs in it.
    pub environment: Vec<(&'static str, OsString)>,
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

/// Makes the ES module of the authorizer, checks the types and writes their declarations, and packs.
fn pack_npm(stage: &Path, into: &Path) -> Result<()> {
    symlink(tools::node_host()?.join("node_modules"), stage.join("node_modules"))?;
    let node = |arguments: &[&str]| {
        let mut node = Command::new("node");
        tools::run(node.args(arguments).current_dir(stage), NODE_REMEDY)
    };
    let authorizer = AUTHORIZER.path()?;
    node(&["build.mjs", &authorizer.to_string_lossy()]).context("the authorizer makes no ES module")?;
    node(&["node_modules/typescript/bin/tsc", "--project", "."]).context("the package's types do not fit")?;
    let mut npm = Command::new("npm");
    npm.args(["pack", "--ignore-scripts"]).current_dir(stage);
    let packed = tools::run(&mut npm, NODE_REMEDY)?;
    let packed = packed.trim();
    // Helm gives the chart the name that npm gives the package.
    let name = packed.replacen("keyswap-", "keyswap-npm-", 1);
    fs::copy(stage.join(packed), into.join(name)).with_context(|| format!("npm packed `{packed}`"))?;
    Ok(())
}

fn pack_python(stage: &Path, into: &Path) -> Result<()> {
    fs::copy(AUTHORIZER.path()?, stage.join("src/keyswap_asgi/keyswap-authorizer.wasm"))?;
    let mut hatchling = Command::new("python3");
    hatchling
        .args(["-m", "hatchling", "build", "--directory"])
        .arg(into)
        .current_dir(stage)
        .env("PYTHONPATH", tools::python_host()?)
        .env("SOURCE_DATE_EPOCH", EARLIEST);
    tools::run(&mut hatchling, PYTHON_REMEDY).map(drop)
}

/// Returns a folder with the programs of Node that embed the authorizer, and the installed package.
pub(crate) fn node_programs() -> Result<PathBuf> {
    let mut programs: Vec<PathBuf> = files_below("component/examples/node")?
        .into_iter()
        .map(|path| project_root().join("component/examples/node").join(path))
        .collect();
    programs.extend(["gate.mjs", "types.ts"].map(|name| project_root().join("tests/hosts").join(name)));
    let (packages, package) = (tools::node_host()?.join("node_modules"), Package::Npm.file()?);
    let made_of = [&programs[..], std::slice::from_ref(&package)].concat();
    installed("node-programs", &fingerprint(&made_of)?, |folder| {
        for program in &programs {
            copy(program, &folder.join(program.file_name().context("a program has a name")?))?;
        }
        fs::write(folder.join("package.json"), r#"{"private": true, "type": "module"}"#)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
        tools::run(npm.arg(&package).current_dir(folder), NODE_REMEDY)?;
        for other in fs::read_dir(&packages)? {
            let other = other?;
            if !other.file_name().to_string_lossy().starts_with('.') {
                symlink(other.path(), folder.join("node_modules").join(other.file_name()))?;
            }
        }
        Ok(())
    })
}

/// Returns the folders with the installed package for Python, and with what it depends on, for `PYTHONPATH`.
pub(crate) fn python_path() -> Result<OsString> {
    let wheel = Package::Python.file()?;
    let folder = installed("python-program", &fingerprint(std::slice::from_ref(&wheel))?, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]);
        tools::run(pip.arg(folder).arg(&wheel), PYTHON_REMEDY).map(drop)
    })?;
    Ok(env::join_paths([folder, tools::python_host()?])?)
}

/// Checks the types of what programs write with a package.
pub fn check_types(package: Package) -> Result<()> {
    match package {
        Package::Npm => {
            let mut tsc = Command::new("node");
            tsc.args(["node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2022"])
                .args(["--module", "nodenext", "--types", "node", "types.ts"])
                .current_dir(node_programs()?);
            tools::run(&mut tsc, NODE_REMEDY).map(drop)
        }
        Package::Python => {
            let folder = tempfile::tempdir()?;
            let mut mypy = Command::new("python3");
            mypy.args(["-m", "mypy", "--strict", "--cache-dir", "/dev/null"])
                .arg(project_root().join("tests/hosts/typed.py"))
                .arg(project_root().join("component/examples/python/server.py"))
                .current_dir(folder.path())
                .env("PYTHONPATH", python_path()?);
            tools::run(&mut mypy, PYTHON_REMEDY).map(drop)
        }
    }
}
