//! The sizes of files and functions, and the content of each `mod.rs`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::report::Violation;
use super::tree::{File, Tree};

const MAX_FILE_LINES: usize = 400;
const MAX_BODY_LINES: usize = 60;

/// Finds files and functions that are too long.
pub(super) fn find(tree: &Tree) -> Vec<Violation> {
    tree.files.iter().flat_map(|file| too_long(file).into_iter().chain(long_functions(file))).collect()
}

fn too_long(file: &File) -> Option<Violation> {
    let (path, lines) = (file.path.clone(), file.facts.lines);
    (lines > MAX_FILE_LINES).then_some(Violation::LongFile { path, lines, most: MAX_FILE_LINES })
}

fn long_functions(file: &File) -> impl Iterator<Item = Violation> {
    let long = file
        .facts
        .functions
        .iter()
        .filter(|function| function.lines > MAX_BODY_LINES && !function.has_reason);
    long.map(|function| Violation::LongFunction {
        path: file.path.clone(),
        line: function.line,
        name: function.name.clone(),
        lines: function.lines,
        most: MAX_BODY_LINES,
    })
}

/// Finds each `mod.rs` with other items than declarations and re-exports.
pub(super) fn find_code_in_mod_files(tree: &Tree) -> Vec<Violation> {
    tree.files.iter().filter(|file| file.path.ends_with("/mod.rs")).filter_map(code).collect()
}

fn code(file: &File) -> Option<Violation> {
    let path = file.path.clone();
    let mut items = file.facts.code.iter().filter(|code| !code.is_private_use).peekable();
    match (items.peek(), file.facts.code.first()) {
        (Some(first), _) => Some(Violation::CodeInModFile { path, line: first.line, items: items.count() }),
        (None, Some(import)) => Some(Violation::PrivateUseInModFile { path, line: import.line }),
        (None, None) => None,
    }
}

/// Checks that a folder has at most `most` files and folders.
pub(super) fn find_many_entries(root: &Path, folder: &str, most: usize) -> Result<Option<Violation>> {
    let entries = fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {folder}"))?.count();
    Ok((entries > most).then(|| Violation::ManyEntries { folder: folder.to_owned(), entries, most }))
}
