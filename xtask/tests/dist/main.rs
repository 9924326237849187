//! `cargo xtask dist`: the content of a release, its images, and what is published of it. The test of reproducible builds is
//! beside the build.

mod layout;
mod published;
mod pulled;
mod signed;

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{AUTHORIZER, COMPONENT, FILTER, tools};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const MODULE: &str = "keyswap_filter.wasm";
const COMPONENT_FILE: &str = "keyswap_component.wasm";
const AUTHORIZER_FILE: &str = "keyswap-authorizer.wasm";

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The native files of a release, and their bills of materials. Other files stand in for them here: a build takes minutes.
const NATIVE: [(&str, &str); 5] = [
    ("libkeyswap-x86_64.so", "keyswap-module-x86_64.cdx.json"),
    ("libkeyswap-aarch64.so", "keyswap-module-aarch64.cdx.json"),
    ("keyswap-x86_64", "keyswap-x86_64.cdx.json"),
    ("keyswap-aarch64", "keyswap-aarch64.cdx.json"),
    ("keyswap-aarch64-macos", "keyswap-aarch64-macos.cdx.json"),
];

/// Runs `cargo xtask dist` on files that are built already.
fn dist(output: &Path, arguments: &[&str]) -> Result<()> {
    let modules = tempfile::tempdir()?;
    fs::copy(FILTER.path()?, modules.path().join(MODULE))?;
    fs::copy(COMPONENT.path()?, modules.path().join(COMPONENT_FILE))?;
    fs::copy(AUTHORIZER.path()?, modules.path().join(AUTHORIZER_FILE))?;
    for (file, _) in NATIVE {
        fs::write(modules.path().join(file), file)?;
    }
    let mut dist = Command::new(env!("CARGO_BIN_EXE_xtask"));
    dist.arg("dist").arg("--output").arg(output).arg("--modules").arg(modules.path()).args(arguments);
    tools::run(&mut dist, "it is part of the workspace").map(drop)
}

fn released() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    dist(folder.path(), &[])?;
    Ok(folder)
}

fn json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&fs::read(path).with_context(|| path.display().to_string())?).context("not JSON")
}

#[test]
fn checksums_are_of_the_files_beside_them() -> Result<()> {
    let folder = released()?;
    let sums = fs::read_to_string(folder.path().join("SHA256SUMS"))?;
    let mut names = Vec::new();
    for line in sums.lines() {
        let (sum, name) = line.split_once("  ").context("a line is a sum and a name")?;
        ensure!(sha256(&fs::read(folder.path().join(name))?) == sum, "{name}");
        names.push(name);
    }
    let version = env!("CARGO_PKG_VERSION");
    let packages = [
        format!("keyswap-npm-{version}.tgz"),
        format!("keyswap_asgi-{version}-py3-none-any.whl"),
        format!("keyswap_asgi-{version}.tar.gz"),
        format!("keyswap-{version}-py3-none-manylinux_2_31_x86_64.whl"),
        format!("keyswap-{version}-py3-none-manylinux_2_31_aarch64.whl"),
        format!("keyswap-{version}-py3-none-macosx_15_0_arm64.whl"),
        format!("keyswap-{version}.tgz"),
    ];
    let wasm = [
        (MODULE, "keyswap-filter.cdx.json"),
        (COMPONENT_FILE, "keyswap-component.cdx.json"),
        (AUTHORIZER_FILE, "keyswap-authorizer.cdx.json"),
    ];
    let built = wasm.into_iter().chain(NATIVE).flat_map(|(file, sbom)| [file, sbom]);
    let expect: Vec<&str> = built.chain(packages.iter().map(String::as_str)).collect();
    ensure!(names == expect, "{names:?}");
    Ok(())
}

#[test]
fn what_it_is_made_of_is_what_is_linked_into_it() -> Result<()> {
    let folder = released()?;
    for (bom, linked, others) in [
        (
            "keyswap-filter.cdx.json",
            &["log", "keyswap-streams"][..],
            &["proxy-wasm", "sqlx", "tokio", "ring"][..],
        ),
        ("keyswap-authorizer.cdx.json", &["wit-bindgen", "keyswap-core"], &["wasip2", "sqlx", "ring"]),
        ("keyswap-module-x86_64.cdx.json", &["ring", "keyswap-core"], &["sqlx", "tokio", "proxy-wasm"]),
        ("keyswap-module-aarch64.cdx.json", &["ring", "keyswap-core"], &["sqlx", "tokio", "proxy-wasm"]),
        ("keyswap-aarch64.cdx.json", &["ring", "sqlx", "tokio", "keyswap-core"], &["proxy-wasm"]),
        ("keyswap-aarch64-macos.cdx.json", &["security-framework", "sqlx", "keyswap-core"], &["proxy-wasm"]),
    ] {
        check_bom(folder.path(), bom, linked, others)?;
    }
    Ok(())
}

fn check_bom(folder: &Path, file: &str, linked: &[&str], others: &[&str]) -> Result<()> {
    let text = fs::read(folder.join(file))?;
    let bom = cyclonedx_bom::prelude::Bom::parse_from_json(text.as_slice())?;
    ensure!(cyclonedx_bom::prelude::Validate::validate(&bom).passed());
    let document: Value = serde_json::from_slice(&text)?;
    ensure!(document["bomFormat"] == "CycloneDX" && document["specVersion"] == "1.5", "{document}");
    let name = document["metadata"]["component"]["name"].as_str().context("a name")?;
    ensure!(file.starts_with(name), "{file} is that of {name}");
    let components = document["components"].as_array().context("components")?;
    let find = |name: &str| components.iter().find(|component| component["name"] == name);
    for name in linked {
        let component = find(name).with_context(|| format!("{name} is not in {file}"))?;
        ensure!(
            component["purl"].as_str().is_some_and(|purl| purl.starts_with(&format!("pkg:cargo/{name}@")))
        );
        let is_ours = name.starts_with("keyswap");
        ensure!(is_ours || component["hashes"][0]["alg"] == "SHA-256", "{component}");
        ensure!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    for other in others.iter().chain(&["proptest", "cyclonedx-bom"]) {
        ensure!(find(other).is_none(), "{other} is not linked into {name}");
    }
    let root = tools::project_root();
    ensure!(
        !String::from_utf8(text)?.contains(&*root.to_string_lossy()),
        "the document has a path of this machine"
    );
    Ok(())
}

/// The test reads the recipe: building the image needs a container builder.
#[test]
fn the_container_is_built_with_the_pinned_toolchain_and_does_not_run_as_root() -> Result<()> {
    let read = |name: &str| fs::read_to_string(tools::project_root().join(name)).context(name.to_owned());
    let recipe = read("Containerfile")?;
    let toolchain = read("rust-toolchain.toml")?;
    let version = toolchain.split('"').find(|part| part.starts_with("1.")).context("a version")?;
    let minor = version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    ensure!(
        recipe.contains(&format!("FROM rust:{minor}-")),
        "the recipe has another toolchain than {version}"
    );
    let (_, last) = recipe.rsplit_once("\nFROM ").context("stages")?;
    ensure!(last.starts_with("scratch\n"), "the image has more in it than the command");
    ensure!(last.contains("\nUSER 65532:65532\n"), "it runs as root");
    ensure!(
        last.contains(" /usr/local/bin/keyswap\n")
            && last.contains("ENTRYPOINT [\"/usr/local/bin/keyswap\"]")
    );
    ensure!(recipe.contains("cargo build --locked --release --package keyswap\n"));
    Ok(())
}

#[test]
fn the_crate_of_the_engine_can_be_packed_and_has_its_sources_alone() -> Result<()> {
    let target = tempfile::tempdir()?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "package",
            "--package",
            "keyswap-core",
            "--no-verify",
            "--allow-dirty",
            "--offline",
            "--target-dir",
        ])
        .arg(target.path())
        .current_dir(tools::project_root());
    tools::run(&mut cargo, "install Rust")?;
    let folder = format!("keyswap-core-{}", env!("CARGO_PKG_VERSION"));
    let packed = fs::File::open(target.path().join("package").join(format!("{folder}.crate")))?;
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let mut names = BTreeSet::new();
    for entry in archive.entries()? {
        names.insert(entry?.path()?.strip_prefix(&folder)?.to_string_lossy().into_owned());
    }
    let sources = tools::files_below("core/src")?.into_iter().map(|path| format!("src/{path}"));
    let others = ["Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "LICENSE", "README.md"].map(str::to_owned);
    names.remove(".cargo_vcs_info.json");
    let expected: BTreeSet<String> = sources.chain(others).collect();
    ensure!(names == expected, "{:?}", names.symmetric_difference(&expected));
    Ok(())
}
