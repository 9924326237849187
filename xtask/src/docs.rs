//! `cargo xtask docs`: builds the book from the documents of the repository, and checks every link.
//!
//! mdBook gets a copy of the pages and of the files that they link to, in the layout of the repository, so that one
//! relative link leads to the same place in the repository and in the book.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    docs::{self, BOOK, Chapter, Page},
    tools::{self, project_root},
};

/// The options of `cargo xtask docs`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Open the book in a browser.
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    docs::check_links()?;
    let source = project_root().join("target/book-source");
    let book = project_root().join("target/book");
    stage(&source)?;
    let mut mdbook = Command::new(tools::mdbook()?);
    mdbook.arg("build").arg(&source).arg("--dest-dir").arg(&book);
    mdbook.env("RUST_LOG", "warn");
    tools::run(&mut mdbook, "it was installed into `.tools`")?;
    println!("{}", book.join("index.html").display());
    if options.open {
        let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        tools::run(Command::new(opener).arg(book.join("index.html")), "open the file above yourself")?;
    }
    Ok(())
}

/// Copies the sources of the book into an empty folder.
fn stage(source: &Path) -> Result<()> {
    if source.exists() {
        fs::remove_dir_all(source)?;
    }
    let chapters = docs::chapters()?;
    let pages = docs::pages()?;
    let in_book: BTreeSet<&str> = chapters.iter().map(|chapter| chapter.path.as_str()).collect();
    let linked = pages.iter().filter(|page| in_book.contains(page.path.as_str())).flat_map(files_of);
    for path in in_book.iter().map(|path| (*path).to_owned()).chain(linked).collect::<BTreeSet<_>>() {
        copy(&path, &source.join("src"))?;
    }
    fs::copy(project_root().join(BOOK).join("book.toml"), source.join("book.toml"))?;
    fs::write(source.join("src/SUMMARY.md"), summary(&chapters)?)?;
    Ok(())
}

/// Returns the files of the repository that a page of the book links to or shows.
fn files_of(page: &Page) -> Vec<String> {
    let paths = docs::links(page).into_iter().filter_map(|link| link.path);
    paths.filter(|path| project_root().join(path).is_file()).collect()
}

fn copy(path: &str, into: &Path) -> Result<()> {
    let target: PathBuf = into.join(path);
    fs::create_dir_all(target.parent().context("a file is in a folder")?)?;
    fs::copy(project_root().join(path), target).with_context(|| format!("cannot copy `{path}`"))?;
    Ok(())
}

/// Returns the summary with links relative to the root of the repository.
fn summary(chapters: &[Chapter]) -> Result<String> {
    let mut text = fs::read_to_string(project_root().join(BOOK).join("SUMMARY.md"))?;
    for Chapter { path, link } in chapters {
        let (from, to) = (format!("]({link})"), format!("]({path})"));
        ensure!(text.contains(&from), "the summary has no link `{link}`");
        text = text.replace(&from, &to);
    }
    Ok(text)
}
