//! The documents of the repository, and their order in the book.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use pulldown_cmark::{Event, Parser, Tag};

use crate::tools::{files_below, project_root};

/// The folder of the book.
pub const BOOK: &str = "docs";
const SUMMARY: &str = "docs/SUMMARY.md";
/// The documents outside of the book's folder.
const OTHERS: [&str; 7] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "envoy/README.md",
    "tests/cases/README.md",
];

/// A document.
#[derive(Clone, Debug)]
pub struct Page {
    /// The path in the repository.
    pub path: String,
    /// The text of the file.
    pub text: String,
}

/// A page of the book, from its summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// The path in the repository.
    pub path: String,
    /// The path in the summary, relative to the summary.
    pub link: String,
}

/// Returns all documents.
///
/// # Errors
///
/// A document cannot be read.
pub fn pages() -> Result<Vec<Page>> {
    let below = files_below(BOOK)?.into_iter().map(|path| format!("{BOOK}/{path}"));
    let is_page = |path: &String| Path::new(path).extension().is_some_and(|extension| extension == "md");
    OTHERS.map(str::to_owned).into_iter().chain(below.filter(is_page)).map(read).collect()
}

/// Returns the pages of the book, in its order.
///
/// # Errors
///
/// The summary cannot be read, or names a page that is not in the repository.
pub fn chapters() -> Result<Vec<Chapter>> {
    let summary = read(SUMMARY.to_owned())?;
    let links = Parser::new(&summary.text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. }) => Some(dest_url.into_string()),
        _ => None,
    });
    let chapter = |link: String| {
        let path = resolve(SUMMARY, &link).with_context(|| format!("{SUMMARY}: `{link}`"))?;
        ensure!(project_root().join(&path).is_file(), "{SUMMARY}: there is no page `{link}`");
        Ok(Chapter { path, link })
    };
    links.map(chapter).collect()
}

/// Returns the path in the repository of a link, relative to the document at `from`. `None` means that the link leads
/// out
/// of the repository.
pub(super) fn resolve(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn read(path: String) -> Result<Page> {
    let text = fs::read_to_string(project_root().join(&path)).with_context(|| path.clone())?;
    Ok(Page { path, text })
}
