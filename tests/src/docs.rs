//! The documents: their list, their generated parts, their commands and their links.
//!
//! A document marks its parts by comments:
//!
//! - `<!-- run -->`: the fenced block below is run by a test, in one shell for all blocks of a document.
//! - `<!-- file: PATH -->`: the fenced block below holds that file of the repository.
//! - `<!-- generated: NAME ARGUMENTS -->` to `<!-- end -->`: the part that [`parts`] generates under that name.

mod links;
mod pages;
mod parts;
mod reference;
mod tables;

pub use links::{Link, anchors, check_links, links};
pub use pages::{BOOK, Chapter, Page, chapters, pages};
pub use parts::{current, scripts};
pub use tables::alerts;

use std::{env, fs};

use anyhow::Result;

use crate::tools::project_root;

/// The variable that makes tests write what they would compare: documents, manifests, pictures.
pub const UPDATE: &str = "KEYSWAP_UPDATE_DOCS";

/// Returns whether tests write what they would compare.
pub fn is_update() -> bool {
    env::var_os(UPDATE).is_some()
}

/// Updates the generated parts of all documents.
pub fn update() -> Result<()> {
    for page in pages()? {
        let current = current(&page)?;
        if current != page.text {
            fs::write(project_root().join(&page.path), current)?;
        }
    }
    Ok(())
}
