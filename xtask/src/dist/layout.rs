//! Images in a folder (OCI image layout 1.0): a release without a registry, for tools that copy it to one.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Result;
use serde_json::{Value, json};

use super::image::Image;

/// Writes a layout for each image name, with a manifest for each tag.
pub(crate) fn write(folder: &Path, images: &[Image]) -> Result<()> {
    let mut names: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for image in images {
        let blobs = folder.join(image.name).join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for blob in image.blobs.iter().chain([&image.manifest]) {
            fs::write(blobs.join(blob.digest.trim_start_matches("sha256:")), &blob.bytes)?;
        }
        let mut manifest = image.manifest.descriptor();
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": image.tag});
        names.entry(image.name).or_default().push(manifest);
    }
    for (name, manifests) in names {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
        });
        fs::write(folder.join(name).join("index.json"), index.to_string())?;
        let version = json!({"imageLayoutVersion": "1.0.0"});
        fs::write(folder.join(name).join("oci-layout"), version.to_string())?;
    }
    Ok(())
}
