//! The documents of other programs that an import reads.

use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use crate::command::terminal::input;
use crate::text::yaml;

/// The largest file: room for the objects of a large cluster.
pub(super) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Reads the documents of a file, in YAML or JSON.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Value>> {
    let documents = yaml::parse_all(&input::read(path, MAX_BYTES)?);
    documents.map_err(|error| anyhow!("{}: {error}", input::name(path)))
}
