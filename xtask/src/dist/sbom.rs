//! Bills of materials, as `CycloneDX` documents: the packages that are linked into a file, as cargo resolves them for its target,
//! with the versions, licences and checksums of the lock. An image has those of its files, and what else is in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use cyclonedx_bom::models::component::Classification;
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{Bom, Component, Components, NormalizedString, Purl, SpecVersion};
use keyswap_tests::tools;

use super::artefact::{ARTEFACTS, Artefact};

/// The packages of the workspace as cargo resolves them for the target of each file.
pub(crate) struct Linked {
    targets: BTreeMap<&'static str, Metadata>,
    checksums: BTreeMap<(String, String), String>,
}

/// A list of components by their package URLs, with those that each needs.
#[derive(Default)]
struct List {
    components: BTreeMap<String, Component>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Linked {
    /// Asks cargo for all targets.
    pub(crate) fn read() -> Result<Self> {
        let targets: BTreeSet<&str> = ARTEFACTS.iter().map(|artefact| artefact.target).collect();
        let targets = targets.into_iter().map(|target| Ok((target, metadata(target)?)));
        Ok(Self { targets: targets.collect::<Result<_>>()?, checksums: checksums()? })
    }

    /// Returns the document of a file, in JSON of `CycloneDX` 1.5.
    pub(crate) fn artefact(&self, artefact: &Artefact) -> Result<Vec<u8>> {
        let mut list = List::default();
        let root = self.add(artefact, &mut list)?;
        let mut root = list.components.remove(&root).context("the package is in its own list")?;
        root.component_type = Classification::Application;
        root.name = NormalizedString::new(artefact.name());
        list.document(root)
    }

    /// Returns the document of an image with these files, and with other components.
    pub(crate) fn image(
        &self,
        name: &str,
        artefacts: &[&Artefact],
        others: Vec<Component>,
    ) -> Result<Vec<u8>> {
        let mut list = List::default();
        let mut needs = BTreeSet::new();
        for artefact in artefacts {
            needs.insert(self.add(artefact, &mut list)?);
        }
        for other in others {
            let reference = other.bom_ref.clone().context("a component has a reference")?;
            list.needs.insert(reference.clone(), BTreeSet::new());
            list.components.insert(reference.clone(), other);
            needs.insert(reference);
        }
        let root = container(name, env!("CARGO_PKG_VERSION"))?;
        list.needs.insert(root.bom_ref.clone().unwrap_or_default(), needs);
        list.document(root)
    }

    /// Adds the packages that are linked into a file. Returns the reference of the file's own package.
    fn add(&self, artefact: &Artefact, list: &mut List) -> Result<String> {
        let metadata = self.targets.get(artefact.target).context("cargo was asked for all targets")?;
        let linked = linked(metadata);
        let root = metadata.packages.iter().find(|package| package.name == artefact.package);
        let root = root.context("the package is not in the workspace")?;
        for id in reached(&root.id, &linked) {
            let package = &metadata[id];
            let needs = linked.get(id).into_iter().flatten().map(|id| reference(&metadata[*id]));
            list.needs.entry(reference(package)).or_default().extend(needs);
            let component = component(package, &self.checksums)?;
            list.components.insert(reference(package), component);
        }
        Ok(reference(root))
    }
}

impl List {
    fn document(self, root: Component) -> Result<Vec<u8>> {
        let dependencies = self.needs.into_iter().map(|(dependency_ref, needs)| Dependency {
            dependency_ref,
            dependencies: needs.into_iter().collect(),
        });
        let document = Bom {
            // Without a time or a random number, the same sources result in the same document.
            serial_number: None,
            metadata: Some(cyclonedx_bom::prelude::Metadata { component: Some(root), ..Default::default() }),
            components: Some(Components(self.components.into_values().collect())),
            dependencies: Some(Dependencies(dependencies.collect())),
            ..Bom::default()
        };
        let mut text = Vec::new();
        document.output_as_json(&mut text, SpecVersion::V1_5).context("the document cannot be written")?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Returns the entry of an image.
pub(crate) fn container(name: &str, version: &str) -> Result<Component> {
    other(Classification::Container, "oci", name, version)
}

/// Returns the entry of a package for Python.
pub(crate) fn python_package(name: &str, version: &str) -> Result<Component> {
    other(Classification::Application, "pypi", name, version)
}

fn other(kind: Classification, registry: &str, name: &str, version: &str) -> Result<Component> {
    let purl = Purl::new(registry, name.rsplit('/').next().unwrap_or_default(), version)?;
    let mut component = Component::new(kind, name, version, Some(purl.to_string()));
    component.purl = Some(purl);
    Ok(component)
}

fn metadata(target: &str) -> Result<Metadata> {
    MetadataCommand::new()
        .cargo_path(env!("CARGO"))
        .current_dir(tools::project_root())
        .other_options(["--locked", "--filter-platform", target].map(str::to_owned))
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

fn component(package: &Package, checksums: &BTreeMap<(String, String), String>) -> Result<Component> {
    let (name, version) = (package.name.to_string(), package.version.to_string());
    let mut component = Component::new(Classification::Library, &name, &version, Some(reference(package)));
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
