//! Images of a module, in the two forms that Istio and Envoy Gateway pull.
//!
//! The artefact form has the module itself in a layer with a media type for Wasm. The compatible form is for registries
//! and tools that do not know this type: a usual image of one layer, with the module as `plugin.wasm`.

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::artefact::Artefact;

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The media type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bytes with their media type and digest.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

/// A manifest with the blobs that it names.
pub(crate) struct Image {
    pub(crate) name: &'static str,
    pub(crate) tag: String,
    pub(crate) manifest: Blob,
    pub(crate) blobs: Vec<Blob>,
}

impl Image {
    /// Returns both forms of an artefact's image, nothing for an artefact without images.
    pub(crate) fn all(artefact: &Artefact, module: &[u8]) -> Result<Vec<Self>> {
        if !artefact.has_images {
            return Ok(Vec::new());
        }
        let name = artefact.package;
        Ok(vec![Self::compatible(name, module)?, Self::artefact(name, module)])
    }

    fn compatible(name: &'static str, module: &[u8]) -> Result<Self> {
        let tar = archive(module)?;
        let config = json!({
            "architecture": "wasm", "os": "wasip1", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
        });
        let layer = Blob::of(LAYER, compress(&tar)?);
        Ok(Self::of(name, VERSION.to_owned(), Blob::json(CONFIG, &config), vec![layer]))
    }

    /// Returns the artefact form. Clients expect exactly two layers, one of which is the configuration.
    fn artefact(name: &'static str, module: &[u8]) -> Self {
        let config = Blob::json(WASM_CONFIG, &json!({"type": "envoy_proxy"}));
        let layers = vec![config.clone(), Blob::of(WASM_LAYER, module.to_vec())];
        Self::of(name, format!("{VERSION}-artifact"), config, layers)
    }

    fn of(name: &'static str, tag: String, config: Blob, layers: Vec<Blob>) -> Self {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
            "annotations": {
                "org.opencontainers.image.title": name,
                "org.opencontainers.image.version": VERSION,
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        });
        let blobs = std::iter::once(config).chain(layers).collect();
        Self { name, tag, manifest: Blob::json(MANIFEST, &manifest), blobs }
    }
}

impl Blob {
    fn of(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: format!("sha256:{}", sha256(&bytes)), bytes }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::of(media_type, value.to_string().into_bytes())
    }

    /// Returns the descriptor by which manifests name the blob.
    pub(crate) fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// Returns the SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn archive(module: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(u64::try_from(module.len())?);
    header.set_mode(0o644);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "plugin.wasm", module)?;
    Ok(archive.into_inner()?)
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut gzip, bytes)?;
    Ok(gzip.finish()?)
}
