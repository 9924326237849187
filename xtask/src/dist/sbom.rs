//! The bill of materials of a module, as a `CycloneDX` document: the packages that are linked into it, as cargo
//! resolves them for its target, with the versions, licences and checksums of the lock.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{Bom, Component, Components, Purl, SpecVersion};
use keyswap_tests::tools;

use super::artefact::Artefact;

/// Returns the document in JSON of `CycloneDX` 1.5.
pub(crate) fn of(artefact: &Artefact) -> Result<Vec<u8>> {
    let metadata = metadata(artefact)?;
    let checksums = checksums()?;
    let linked = linked(&metadata);
    let root = metadata.packages.iter().find(|package| package.name == artefact.package);
    let root = root.context("the package is not in the workspace")?;
    let reached = reached(&root.id, &linked);

    let others = reached.iter().filter(|id| **id != &root.id);
    let others = others.map(|id| component(Classification::Library, &metadata[*id], &checksums));
    let dependencies = reached.iter().map(|id| Dependency {
        dependency_ref: reference(&metadata[*id]),
        dependencies: linked.get(id).into_iter().flatten().map(|id| reference(&metadata[*id])).collect(),
    });
    let document = Bom {
        // Without a time or a random number, the same sources result in the same document.
        serial_number: None,
        metadata: Some(cyclonedx_bom::prelude::Metadata {
            component: Some(component(Classification::Application, root, &checksums)?),
            ..Default::default()
        }),
        components: Some(Components(others.collect::<Result<_>>()?)),
        dependencies: Some(Dependencies(dependencies.collect())),
        ..Bom::default()
    };
    let mut text = Vec::new();
    document.output_as_json(&mut text, SpecVersion::V1_5).context("the document cannot be written")?;
    text.push(b'\n');
    Ok(text)
}

fn metadata(artefact: &Artefact) -> Result<Metadata> {
    MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .current_dir(tools::project_root())
        .other_options(["--locked", "--filter-platform", artefact.target].map(str::to_owned))
        .exec()
        .context("`cargo metadata` failed")
}

/// Returns the packages that each package links, without dependencies of tests and of build scripts.
fn linked(metadata: &Metadata) -> BTreeMap<&PackageId, Vec<&PackageId>> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes).map(|node| {
        let linked = node
            .deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        (&node.id, linked.map(|dependency| &dependency.pkg).collect())
    });
    nodes.collect()
}

fn reached<'m>(
    root: &'m PackageId,
    linked: &BTreeMap<&'m PackageId, Vec<&'m PackageId>>,
) -> BTreeSet<&'m PackageId> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![root]);
    while let Some(id) = left.pop() {
        if reached.insert(id) {
            left.extend(linked.get(id).into_iter().flatten());
        }
    }
    reached
}

/// Returns the package URL. Cargo's own id of a package contains the path of the repository.
fn reference(package: &Package) -> String {
    format!("pkg:cargo/{}@{}", package.name, package.version)
}

fn component(
    kind: Classification,
    package: &Package,
    checksums: &BTreeMap<(String, String), String>,
) -> Result<Component> {
    let (name, version) = (package.name.to_string(), package.version.to_string());
    let mut component = Component::new(kind, &name, &version, Some(reference(package)));
    component.purl = Some(Purl::new("cargo", &name, &version)?);
    // Old packages separate licences by a slash, which is not valid in SPDX.
    let license = package.license.as_deref().unwrap_or_default().replace('/', " OR ");
    component.licenses = Some(Licenses(vec![LicenseChoice::expression(&license)]));
    component.hashes = checksums.get(&(name, version)).map(|checksum| {
        let content = HashValue(checksum.clone());
        Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content }])
    });
    Ok(component)
}

/// Returns the checksums in `Cargo.lock`, which cargo has verified. Packages of the workspace have none.
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
