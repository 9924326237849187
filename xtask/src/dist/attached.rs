//! The images beside an image that tell of it, in the places where cosign looks for them.
//!
//! | tag | content |
//! |---|---|
//! | `sha256-<digest>.sbom` | its bill of materials |
//! | `sha256-<digest>.sig` | its signature |
//! | `sha256-<digest>.att` | signed statements: its bill of materials, and its provenance |
//!
//! The latter two are there where there is a key.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{
    image::{Blob, CONFIG, Image},
    sign::{BILL, Key, Origin, PROVENANCE, statement},
};

const SBOM: &str = "application/vnd.cyclonedx+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// A key, and the origin that it vouches for.
pub(crate) struct Signer {
    pub(crate) key: Key,
    pub(crate) origin: Origin,
}

/// Returns the images that tell of `images`, for a registry of this name.
pub(crate) fn all(images: &[Image], signer: Option<&Signer>, registry: &str) -> Result<Vec<Image>> {
    let mut all = Vec::new();
    for image in images {
        all.push(beside(image, "sbom", vec![Blob::of(SBOM, image.sbom.clone())]));
        if let Some(Signer { key, origin }) = signer {
            all.push(beside(image, "sig", vec![key.signature_of(image, registry)]));
            let bill: Value = serde_json::from_slice(&image.sbom).context("a bill of materials is JSON")?;
            let statements = [(BILL, bill), (PROVENANCE, origin.predicate())];
            let layers = statements.into_iter().map(|(kind, predicate)| {
                let statement = statement(kind, &[subject(image)], &predicate);
                let annotations = json!({"dev.cosignproject.cosign/signature": "", "predicateType": kind});
                Blob::of(ENVELOPE, key.envelope(&statement).into_bytes()).annotated(annotations)
            });
            all.push(beside(image, "att", layers.collect()));
        }
    }
    Ok(all)
}

/// Tells if a tag is that of an image which tells of another.
pub(crate) fn is_beside(tag: &str) -> bool {
    tag.starts_with("sha256-")
}

/// Returns the entry of an image in a statement.
pub(crate) fn subject(image: &Image) -> Value {
    let digest = image.manifest.digest.trim_start_matches("sha256:");
    json!({"name": image.name, "digest": {"sha256": digest}})
}

fn beside(image: &Image, kind: &str, layers: Vec<Blob>) -> Image {
    let digests: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = json!({
        "architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": digests},
    });
    let tag = format!("{}.{kind}", image.manifest.digest.replace(':', "-"));
    Image::of(image.name, Some(tag), Blob::json(CONFIG, &config), layers)
}
