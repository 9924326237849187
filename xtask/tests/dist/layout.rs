//! The images of a release in a folder, and what is beside each.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::FILTER;
use serde_json::Value;

use crate::{json, released, sha256};

const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An OCI image layout.
pub(crate) struct Layout {
    folder: PathBuf,
    /// The manifests by their tags.
    manifests: BTreeMap<String, Value>,
}

impl Layout {
    /// Reads the layout of an image in a release.
    pub(crate) fn of(release: &Path, name: &str) -> Result<Self> {
        let folder = release.join("oci").join(name);
        ensure!(json(&folder.join("oci-layout"))?["imageLayoutVersion"] == "1.0.0");
        let index = json(&folder.join("index.json"))?;
        let mut layout = Self { folder, manifests: BTreeMap::new() };
        for descriptor in index["manifests"].as_array().context("manifests")? {
            let bytes = layout.blob(&descriptor["digest"])?;
            ensure!(descriptor["size"] == bytes.len(), "{descriptor}");
            let tag =
                descriptor["annotations"]["org.opencontainers.image.ref.name"].as_str().context("a tag")?;
            layout.manifests.insert(tag.to_owned(), serde_json::from_slice(&bytes)?);
        }
        Ok(layout)
    }

    /// Returns a blob by its digest.
    pub(crate) fn blob(&self, digest: &Value) -> Result<Vec<u8>> {
        let digest = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:")).context("a digest")?;
        let bytes = fs::read(self.folder.join("blobs/sha256").join(digest))?;
        ensure!(sha256(&bytes) == digest, "the blob {digest} is another");
        Ok(bytes)
    }

    /// Returns the manifests of images by their tags, without those that tell of another image.
    pub(crate) fn images(&self) -> BTreeMap<&str, &Value> {
        let images = self.manifests.iter().filter(|(tag, _)| !tag.starts_with("sha256-"));
        images.map(|(tag, manifest)| (tag.as_str(), manifest)).collect()
    }

    /// Returns the digest of a manifest.
    pub(crate) fn digest_of(manifest: &Value) -> String {
        // The release writes documents in the form in which they are written here.
        sha256(manifest.to_string().as_bytes())
    }

    /// Returns the manifest that tells of an image.
    pub(crate) fn beside(&self, image: &Value, kind: &str) -> Result<&Value> {
        let tag = format!("sha256-{}.{kind}", Self::digest_of(image));
        self.manifests.get(&tag).with_context(|| format!("{tag} is absent"))
    }
}

#[test]
fn images_have_what_istio_and_envoy_gateway_look_for_and_a_bill_of_materials_beside_them() -> Result<()> {
    let folder = released()?;
    have_bills(folder.path())?;
    let module = fs::read(FILTER.path()?)?;
    let layout = Layout::of(folder.path(), "keyswap-filter")?;
    let mut seen = Vec::new();
    for manifest in layout.images().values() {
        layout.blob(&manifest["config"]["digest"])?;
        let layers = manifest["layers"].as_array().context("layers")?;
        let types: Vec<&str> = layers.iter().filter_map(|layer| layer["mediaType"].as_str()).collect();
        let last = layout.blob(&layers.last().context("a layer")?["digest"])?;
        match types.as_slice() {
            [LAYER] => {
                let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(last.as_slice()));
                let mut entries = archive.entries()?;
                let mut entry = entries.next().context("the archive is empty")??;
                ensure!(entry.path()?.to_str() == Some("plugin.wasm"));
                let mut found = Vec::new();
                entry.read_to_end(&mut found)?;
                ensure!(found == module, "the archive has another module");
                ensure!(entries.next().is_none(), "the archive has more");
                seen.push("compatible");
            }
            [WASM_CONFIG, WASM_LAYER] => {
                ensure!(last == module, "the layer is another module");
                seen.push("artefact");
            }
            other => anyhow::bail!("layers of unknown types: {other:?}"),
        }
    }
    ensure!(seen == ["compatible", "artefact"], "{seen:?}");
    Ok(())
}

fn have_bills(release: &Path) -> Result<()> {
    for (image, linked) in [
        ("keyswap-filter", "pkg:cargo/keyswap-streams@"),
        ("keyswap-component", "pkg:cargo/wasip2@"),
        ("keyswap-authorizer", "pkg:cargo/wit-bindgen@"),
        ("charts/keyswap", ""),
    ] {
        let layout = Layout::of(release, image)?;
        for (tag, manifest) in layout.images() {
            let beside = layout.beside(manifest, "sbom")?;
            ensure!(beside["layers"][0]["mediaType"] == "application/vnd.cyclonedx+json", "{beside}");
            let text = layout.blob(&beside["layers"][0]["digest"])?;
            let bom = cyclonedx_bom::prelude::Bom::parse_from_json(text.as_slice())?;
            ensure!(cyclonedx_bom::prelude::Validate::validate(&bom).passed(), "{tag}");
            let document: Value = serde_json::from_slice(&text)?;
            let mut components = document["components"].as_array().into_iter().flatten();
            let is_linked = |it: &Value| it["purl"].as_str().is_some_and(|purl| purl.starts_with(linked));
            ensure!(components.any(is_linked) || linked.is_empty(), "{image}:{tag}: {document}");
        }
    }
    Ok(())
}
