//! What a module is made of, as a `CycloneDX` document: the packages that are linked into it, as cargo resolves them for its
//! target, with the versions, licences and checksums of the lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context as _, Result};
use keyswap_tests::tools;
use serde_json::{Value, json};

use super::artefact::Artefact;

/// The document, as JSON of `CycloneDX` 1.5.
pub(crate) fn of(artefact: &Artefact) -> Result<Vec<u8>> {
    let metadata = metadata(artefact)?;
    let checksums = checksums()?;
    let packages: BTreeMap<&str, &Value> =
        list(&metadata["packages"]).filter_map(|package| Some((package["id"].as_str()?, package))).collect();
    let linked = linked(&metadata);
    let root = packages.iter().find(|(_, package)| package["name"] == artefact.package);
    let (root, package) = root.context("the package is not in the workspace")?;
    let reached = reached(root, &linked);

    let others = reached.iter().filter(|id| *id != root).filter_map(|id| packages.get(id));
    let reference = |id: &&str| packages.get(id).map(|package| reference(package));
    let dependencies = reached.iter().map(|id| {
        let on: Vec<_> = linked.get(id).into_iter().flatten().filter_map(reference).collect();
        json!({"ref": reference(id), "dependsOn": on})
    });
    // Neither a time nor a random number: the same sources make the same document.
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component("application", package, &checksums)},
        "components": others.map(|package| component("library", package, &checksums)).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
    });
    Ok(format!("{document:#}\n").into_bytes())
}

fn metadata(artefact: &Artefact) -> Result<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", artefact.target])
        .current_dir(tools::project_root());
    let text = tools::run(&mut cargo, "install Rust from https://rustup.rs")?;
    serde_json::from_str(&text).context("cargo's metadata is not JSON")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What each package links: neither what its tests nor what its build scripts use.
fn linked(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let is_linked = |dependency: &&Value| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null());
    let nodes = list(&metadata["resolve"]["nodes"]).filter_map(|node| {
        let dependencies = list(&node["deps"]).filter(is_linked);
        Some((node["id"].as_str()?, dependencies.filter_map(|it| it["pkg"].as_str()).collect()))
    });
    nodes.collect()
}

fn reached<'m>(root: &'m str, linked: &BTreeMap<&'m str, Vec<&'m str>>) -> BTreeSet<&'m str> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![root]);
    while let Some(id) = left.pop() {
        if reached.insert(id) {
            left.extend(linked.get(id).into_iter().flatten());
        }
    }
    reached
}

fn text<'m>(package: &'m Value, field: &str) -> &'m str {
    package[field].as_str().unwrap_or_default()
}

/// A package URL. Not cargo's own name, which has the path of the repository in it.
fn reference(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(package, "name"), text(package, "version"))
}

fn component(kind: &str, package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let (name, version) = (text(package, "name"), text(package, "version"));
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": name,
        "version": version,
        "purl": reference(package),
        // Old packages separate licences by a slash, which SPDX does not know.
        "licenses": [{"expression": text(package, "license").replace('/', " OR ")}],
    });
    if let Some(checksum) = checksums.get(&(name.to_owned(), version.to_owned())) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The checksums in `Cargo.lock`, which cargo has checked. Packages of the workspace have none.
fn checksums() -> Result<BTreeMap<(String, String), String>> {
    let lock = std::fs::read_to_string(tools::project_root().join("Cargo.lock"))?;
    let field = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""));
        line.and_then(|line| line.strip_suffix('"')).map(str::to_owned)
    };
    let entries = lock.split("[[package]]").filter_map(|entry| {
        Some(((field(entry, "name")?, field(entry, "version")?), field(entry, "checksum")?))
    });
    Ok(entries.collect())
}
