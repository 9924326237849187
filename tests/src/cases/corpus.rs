//! The corpus: the suites of the files, and those of the table of providers.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{digest::digest_of, providers, suite::Suite};

/// Returns every suite of the corpus, with its place: those of the files, and those of the table of providers.
pub fn corpus() -> Result<Vec<(String, Suite)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut suites = providers::suites()?;
    for file in files {
        suites.push((file.display().to_string(), read(&file)?));
    }
    Ok(suites)
}

fn read(file: &Path) -> Result<Suite> {
    let text = expand(&fs::read_to_string(file)?);
    serde_saphyr::from_str(&text).with_context(|| format!("reading {}", file.display()))
}

/// Replaces `{{sha256:token}}` by the token's digest and `{{id:token}}` by the principal's id.
fn expand(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inner, rest) = part.split_once("}}").unwrap_or((part, ""));
        let (kind, token) = inner.split_once(':').unwrap_or_default();
        let digest = digest_of(token);
        match kind {
            "sha256" => expanded.push_str(&digest),
            "id" => expanded.push_str(&digest[..16]),
            _ => expanded.push_str(inner),
        }
        expanded.push_str(rest);
    }
    expanded
}
