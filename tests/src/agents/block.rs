//! The blocks to copy: files that the book shows, and that the dashboard fills in.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::tools::project_root;

/// The folder of the blocks.
pub const BLOCKS: &str = "control/src/server/admin/dashboard/blocks";
/// The address in every block, which stands for that of Keyswap.
pub const ADDRESS: &str = "https://llm.example.com";
/// The token in every block.
pub const TOKEN: &str = "ptk_…";

/// Returns a block with the caller's address and token.
///
/// # Errors
///
/// There is no such block.
pub fn block(name: &str, address: &str, token: &str) -> Result<String> {
    let path = format!("{BLOCKS}/{name}");
    let text = fs::read_to_string(project_root().join(&path)).with_context(|| path.clone())?;
    let filled = text.replace(ADDRESS, address).replace(TOKEN, token);
    ensure!(!filled.contains("example.com") && !filled.contains('…'), "`{path}` has another placeholder");
    Ok(filled)
}
