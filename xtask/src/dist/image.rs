//! Images of Wasm: of the filter in the two forms that Istio and Envoy Gateway pull, and of components.
//!
//! The artefact form of the filter has the module itself in a layer with a media type for Wasm. The compatible form is for
//! registries and tools that do not know this type: a usual image of one layer, with the module as `plugin.wasm`. A component has
//! the form of the CNCF's guide "Wasm OCI Artifact layout", which hosts of components pull.

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use keyswap_tests::Interfaces;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::artefact::{Artefact, Form};

/// The version of the workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The media type of manifests.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index, which names the images of several machines.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const WASM_CONFIG: &str = "application/vnd.module.wasm.config.v1+json";
const WASM_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
const COMPONENT_CONFIG: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT_LAYER: &str = "application/wasm";
/// The time of creation, which readers of the configuration demand: the same for all builds.
const CREATED: &str = "1970-01-01T00:00:00Z";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Bytes with their media type and digest.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
    /// The annotations of its descriptor, null without any.
    annotations: Value,
}

/// A manifest with the blobs that it names.
pub(crate) struct Image {
    pub(crate) name: &'static str,
    /// `None` for the image of one machine, which an index names.
    pub(crate) tag: Option<String>,
    pub(crate) manifest: Blob,
    pub(crate) blobs: Vec<Blob>,
    /// The bill of materials, empty for what describes another image.
    pub(crate) sbom: Vec<u8>,
}

impl Image {
    /// Returns all forms of an artefact's image, nothing for an artefact without images.
    pub(crate) fn all(artefact: &Artefact, module: &[u8], sbom: &[u8]) -> Result<Vec<Self>> {
        let name = artefact.name();
        let images = match artefact.form {
            Form::Filter => vec![Self::compatible(name, module)?, Self::artefact(name, module)],
            Form::Component | Form::Authorizer => vec![Self::component(name, module)?],
            Form::Module | Form::Command => Vec::new(),
        };
        Ok(images.into_iter().map(|image| image.listing(sbom.to_vec())).collect())
    }

    /// Adds the bill of materials.
    pub(crate) fn listing(self, sbom: Vec<u8>) -> Self {
        Self { sbom, ..self }
    }

    fn compatible(name: &'static str, module: &[u8]) -> Result<Self> {
        let tar = archive(&[Entry::file("plugin.wasm", 0o644, module.to_vec())])?;
        let config = json!({
            "architecture": "wasm", "os": "wasip1", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", sha256(&tar))]},
        });
        let layer = Blob::of(LAYER, compress(&tar)?);
        Ok(Self::of(name, Some(VERSION.to_owned()), Blob::json(CONFIG, &config), vec![layer]))
    }

    /// Returns the artefact form. Clients expect exactly two layers, one of which is the configuration.
    fn artefact(name: &'static str, module: &[u8]) -> Self {
        let config = Blob::json(WASM_CONFIG, &json!({"type": "envoy_proxy"}));
        let layers = vec![config.clone(), Blob::of(WASM_LAYER, module.to_vec())];
        Self::of(name, Some(format!("{VERSION}-artifact")), config, layers)
    }

    fn component(name: &'static str, component: &[u8]) -> Result<Self> {
        let Interfaces { imports, exports } = Interfaces::of(component)?;
        let layer = Blob::of(COMPONENT_LAYER, component.to_vec());
        let config = json!({
            "created": CREATED, "architecture": "wasm", "os": "wasip2", "layerDigests": [layer.digest],
            "component": {"exports": exports, "imports": imports},
        });
        Ok(Self::of(name, Some(VERSION.to_owned()), Blob::json(COMPONENT_CONFIG, &config), vec![layer]))
    }

    /// Returns an image of these layers.
    pub(crate) fn of(name: &'static str, tag: Option<String>, config: Blob, layers: Vec<Blob>) -> Self {
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
        Self { name, tag, manifest: Blob::json(MANIFEST, &manifest), blobs, sbom: Vec::new() }
    }
}

impl Blob {
    pub(crate) fn of(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: format!("sha256:{}", sha256(&bytes)), bytes, annotations: Value::Null }
    }

    pub(crate) fn json(media_type: &'static str, value: &Value) -> Self {
        Self::of(media_type, value.to_string().into_bytes())
    }

    /// Adds annotations to the descriptor.
    pub(crate) fn annotated(self, annotations: Value) -> Self {
        Self { annotations, ..self }
    }

    /// Returns the descriptor by which manifests name the blob.
    pub(crate) fn descriptor(&self) -> Value {
        let mut descriptor =
            json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()});
        if !self.annotations.is_null() {
            descriptor["annotations"] = self.annotations.clone();
        }
        descriptor
    }
}

/// Returns the SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A file or a folder of a layer.
pub(crate) struct Entry {
    path: String,
    mode: u32,
    owner: u64,
    /// `None` for a folder.
    content: Option<Vec<u8>>,
}

impl Entry {
    /// Returns a file of root.
    pub(crate) fn file(path: impl Into<String>, mode: u32, content: Vec<u8>) -> Self {
        Self { path: path.into(), mode, owner: 0, content: Some(content) }
    }

    /// Returns a folder, whose path ends in a slash.
    pub(crate) fn folder(path: impl Into<String>, mode: u32, owner: u64) -> Self {
        Self { path: path.into(), mode, owner, content: None }
    }
}

/// Returns an archive that holds no times.
pub(crate) fn archive(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for Entry { path, mode, owner, content } in entries {
        let content = content.as_deref();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(if content.is_some() {
            tar::EntryType::Regular
        } else {
            tar::EntryType::Directory
        });
        header.set_size(u64::try_from(content.unwrap_or_default().len())?);
        header.set_mode(*mode);
        header.set_uid(*owner);
        header.set_gid(*owner);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.unwrap_or_default())?;
    }
    Ok(archive.into_inner()?)
}

/// Compresses an archive.
pub(crate) fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    std::io::Write::write_all(&mut gzip, bytes)?;
    Ok(gzip.finish()?)
}
