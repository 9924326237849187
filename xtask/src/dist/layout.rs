//! Images in a folder (OCI image layout 1.0): a release without a registry, for this program or another that copies it to one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::image::{Image, sha256};

/// The annotation with the tag of a manifest.
const TAG: &str = "org.opencontainers.image.ref.name";

/// Writes a layout for each image name, with a manifest or an index for each tag.
pub(crate) fn write(folder: &Path, images: &[Image]) -> Result<()> {
    let mut names: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for image in images {
        let blobs = folder.join(image.name).join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for blob in image.blobs.iter().chain([&image.manifest]) {
            fs::write(blobs.join(blob.digest.trim_start_matches("sha256:")), &blob.bytes)?;
        }
        if let Some(tag) = &image.tag {
            let mut manifest = image.manifest.descriptor();
            manifest["annotations"] = json!({TAG: tag});
            names.entry(image.name).or_default().push(manifest);
        }
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

/// The images of one name in a folder.
pub(crate) struct Layout {
    pub(crate) name: String,
    folder: PathBuf,
}

/// A manifest or a blob of a layout, which has the digest that it is named by.
pub(crate) struct Stored {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

impl Layout {
    /// Finds the layouts below a folder, by their names.
    pub(crate) fn all(folder: &Path) -> Result<Vec<Self>> {
        let (mut found, mut left) = (Vec::new(), vec![String::new()]);
        while let Some(name) = left.pop() {
            let here = folder.join(&name);
            if here.join("index.json").is_file() {
                found.push(Self { name, folder: here });
                continue;
            }
            for entry in fs::read_dir(&here).with_context(|| format!("cannot read {}", here.display()))? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    let entry = entry.file_name().to_string_lossy().into_owned();
                    left.push(if name.is_empty() { entry } else { format!("{name}/{entry}") });
                }
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Returns the tags in the order of the layout, each with its manifest or index.
    pub(crate) fn tags(&self) -> Result<Vec<(String, Stored)>> {
        let index: Value = serde_json::from_slice(&fs::read(self.folder.join("index.json"))?)?;
        let manifests = index["manifests"].as_array().into_iter().flatten();
        let tags = manifests.map(|descriptor| {
            let tag = descriptor["annotations"][TAG].as_str().context("a manifest has no tag")?;
            Ok((tag.to_owned(), self.stored(descriptor)?))
        });
        tags.collect()
    }

    /// Returns all that a manifest or an index names in these members.
    pub(crate) fn named_by(&self, manifest: &Stored, members: &[&str]) -> Result<Vec<Stored>> {
        let manifest: Value = serde_json::from_slice(&manifest.bytes)?;
        let mut named = Vec::new();
        for member in members {
            match &manifest[*member] {
                Value::Array(list) => named.extend(list.clone()),
                Value::Null => {}
                one => named.push(one.clone()),
            }
        }
        named.iter().map(|descriptor| self.stored(descriptor)).collect()
    }

    fn stored(&self, descriptor: &Value) -> Result<Stored> {
        let text = |name: &str| descriptor[name].as_str().map(str::to_owned);
        let (media_type, digest) =
            text("mediaType").zip(text("digest")).context("a descriptor is incomplete")?;
        let name = digest.strip_prefix("sha256:").context("a digest is one of SHA-256")?;
        let is_hex = name.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(is_hex, "`{name}` is no digest");
        let bytes = fs::read(self.folder.join("blobs/sha256").join(name))
            .with_context(|| format!("{} lacks {digest}", self.name))?;
        ensure!(sha256(&bytes) == name, "{}: what is stored as {digest} is something else", self.name);
        Ok(Stored { media_type, digest, bytes })
    }
}
