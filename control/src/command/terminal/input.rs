//! Reading files and standard input, up to a limit: a wrong path may name an endless device.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context as _, bail};

use super::output::visible;

/// Reads a file, or standard input for `-`. More than `limit` bytes are an error.
pub(crate) fn read(path: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let read = if is_stdin(path) {
        read_limited(io::stdin().lock(), limit)
    } else {
        File::open(path).and_then(|file| read_limited(file, limit))
    };
    let bytes = read.with_context(|| format!("cannot read {}", name(path)))?;
    if bytes.len() > limit {
        bail!(
            "{} is larger than {limit} bytes, the most that is read: pass the right file, or a part of it",
            name(path)
        );
    }
    Ok(bytes)
}

/// Returns true if the path stands for standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Returns the name of the input for messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) {
        "standard input".to_owned()
    } else {
        format!("`{}`", visible(&path.display().to_string()))
    }
}

fn read_limited(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(limit).map_or(u64::MAX, |limit| limit.saturating_add(1));
    from.take(one_more).read_to_end(&mut bytes)?;
    Ok(bytes)
}
