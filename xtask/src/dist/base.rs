//! The image below those of the command: a glibc and the certificates of public authorities. It is pulled by its digest.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use cyclonedx_bom::prelude::Component;
use oci_client::{
    Client, Reference,
    manifest::{OciImageIndex, OciImageManifest},
    secrets::RegistryAuth,
};
use serde_json::Value;

use super::{
    image::{Blob, INDEX, LAYER, MANIFEST},
    push::client,
    sbom,
};

/// The media types of indexes, manifests and layers before OCI. The bytes are the same.
const OLD_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OLD_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OLD_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A base image.
pub(crate) struct Base {
    name: String,
    machines: BTreeMap<String, Layers>,
}

/// The layers of a base image for one architecture.
pub(crate) struct Layers {
    pub(crate) layers: Vec<Blob>,
    /// The digests of the layers before they were compressed.
    pub(crate) diffs: Vec<String>,
}

impl Base {
    /// Pulls the image for the architectures `amd64` and `arm64`, as far as its index names them. `name` ends in a digest.
    pub(crate) fn pull(name: &str) -> Result<Self> {
        let reference: Reference = name.parse().with_context(|| format!("`{name}` is no image"))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if reference.digest().is_none() {
            let found = runtime.block_on(digest(&reference));
            bail!("`{name}` has no digest, and a tag can be moved: {}", remedy(&reference, found.ok()));
        }
        let machines =
            runtime.block_on(machines(&reference)).with_context(|| format!("cannot pull {name}"))?;
        Ok(Self { name: name.to_owned(), machines })
    }

    /// Returns the entry for bills of materials.
    pub(crate) fn component(&self) -> Result<Component> {
        let (name, digest) = self.name.split_once('@').unwrap_or((&self.name, ""));
        sbom::container(name, digest)
    }

    /// Returns the layers for an architecture.
    pub(crate) fn of(&self, architecture: &str) -> Result<&Layers> {
        self.machines.get(architecture).with_context(|| format!("{} is not for {architecture}", self.name))
    }
}

/// Returns the digest that the tag of an image has now.
async fn digest(tagged: &Reference) -> Result<String> {
    Ok(client(tagged)?.fetch_manifest_digest(tagged, &RegistryAuth::Anonymous).await?)
}

fn remedy(tagged: &Reference, digest: Option<String>) -> String {
    match digest {
        Some(digest) => format!(
            "now it has `--base {}/{}@{digest}`; look at the image before you trust it",
            tagged.registry(),
            tagged.repository()
        ),
        None => format!(
            "name the base as `--base registry.example.com/name@sha256:…`; `docker buildx imagetools inspect {tagged}` prints \
             the digest"
        ),
    }
}

async fn machines(reference: &Reference) -> Result<BTreeMap<String, Layers>> {
    let client = client(reference)?;
    let auth = RegistryAuth::Anonymous;
    let (bytes, _) = client.pull_manifest_raw(reference, &auth, &[INDEX, OLD_INDEX]).await?;
    let index: OciImageIndex = serde_json::from_slice(&bytes).context("the base is no index of images")?;
    let mut machines = BTreeMap::new();
    for entry in index.manifests {
        let Some(platform) = entry.platform.filter(|platform| platform.os.to_string() == "linux") else {
            continue;
        };
        let image = reference.clone_with_digest(entry.digest.clone());
        let layers = layers(&client, &image).await?;
        machines.entry(platform.architecture.to_string()).or_insert(layers);
    }
    Ok(machines)
}

async fn layers(client: &Client, image: &Reference) -> Result<Layers> {
    let (bytes, _) =
        client.pull_manifest_raw(image, &RegistryAuth::Anonymous, &[MANIFEST, OLD_MANIFEST]).await?;
    let manifest: OciImageManifest = serde_json::from_slice(&bytes)?;
    let mut config = Vec::new();
    client.pull_blob(image, &manifest.config, &mut config).await?;
    let config: Value = serde_json::from_slice(&config)?;
    let diffs = config["rootfs"]["diff_ids"].as_array().context("the base names no layers")?;
    let diffs: Vec<String> = diffs.iter().filter_map(|diff| diff.as_str().map(str::to_owned)).collect();
    let mut layers = Vec::new();
    for descriptor in &manifest.layers {
        let is_known = [LAYER, OLD_LAYER].contains(&descriptor.media_type.as_str());
        ensure!(is_known, "a layer of the base is {}", descriptor.media_type);
        let mut blob = Vec::new();
        client.pull_blob(image, descriptor, &mut blob).await?;
        layers.push(Blob::of(LAYER, blob));
    }
    ensure!(layers.len() == diffs.len(), "the base names other layers than it has");
    Ok(Layers { layers, diffs })
}
