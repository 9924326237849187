//! The truth of the documents: examples are files that are tested, commands run, tables are generated.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Bootstrap, KEYSWAP, readme, tools};

/// Set, it makes this test write the generated parts anew.
const UPDATE: &str = "KEYSWAP_UPDATE_DOCS";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_generated_parts_of_the_readme_are_current() -> Result<()> {
    if env::var_os(UPDATE).is_some() {
        return readme::update();
    }
    let (text, current) = readme::current()?;
    ensure!(text == current, "README.md is out of date: run this test with {UPDATE}=1");
    Ok(())
}

/// The commands of a document that are to be run, with the indentation of a list taken away.
fn scripts(text: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix("<!-- run -->") else { continue };
        let block = lines.by_ref().skip(1).take_while(|line| line.trim() != "```");
        let block = block.map(|line| format!("{}\n", line.strip_prefix(indent).unwrap_or(line)));
        scripts.push(block.collect());
    }
    scripts
}

#[test]
fn the_commands_of_the_documents_run() -> Result<()> {
    let command = KEYSWAP.path()?;
    let beside = command.parent().context("the command is in a folder")?;
    let path = env::join_paths(
        std::iter::once(beside.to_owned()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    )?;
    for document in ["README.md", "envoy/README.md"] {
        let text = fs::read_to_string(repository().join(document))?;
        let folder = tempfile::tempdir()?;
        let envoy = fs::canonicalize(repository().join("envoy"))?;
        std::os::unix::fs::symlink(envoy, folder.path().join("envoy"))?;
        let scripts = scripts(&text);
        ensure!(scripts.len() > 2, "{document} has hardly any commands to run");
        // One shell for all of a document: what a reader has set stays set.
        let script = scripts.concat();
        let output = Command::new("bash")
            .args(["-euxo", "pipefail", "-c", &script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .output()?;
        ensure!(
            output.status.success(),
            "the commands of {document} fail:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[test]
fn the_policy_of_the_bootstrap_is_the_one_of_the_readme() -> Result<()> {
    let text = fs::read_to_string(repository().join("envoy/policy.yaml"))?;
    let policy: serde_json::Value = serde_saphyr::from_str(&text)?;
    ensure!(Bootstrap::shipped()?.policy()? == policy, "envoy/bootstrap.yaml and envoy/policy.yaml differ");
    Ok(())
}

/// The documents of `docs`, by their paths in the repository.
fn docs() -> Result<Vec<String>> {
    let is_page = |path: &String| Path::new(path).extension().is_some_and(|extension| extension == "md");
    let pages = tools::files_below("docs")?.into_iter().filter(is_page);
    let pages: Vec<String> = pages.map(|path| format!("docs/{path}")).collect();
    ensure!(!pages.is_empty(), "there are no documents in `docs`");
    Ok(pages)
}

/// Links between documents, and to files, lead somewhere.
#[test]
fn every_local_link_leads_to_a_file() -> Result<()> {
    let named =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "envoy/README.md"];
    for document in named.map(str::to_owned).into_iter().chain(docs()?) {
        let file = repository().join(&document);
        let text = fs::read_to_string(&file).with_context(|| document.clone())?;
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let target = file.parent().context("a document is in a folder")?.join(link);
            ensure!(target.exists(), "{document}: the link `{link}` leads nowhere");
        }
    }
    Ok(())
}

/// The paths that documents name in backticks exist.
#[test]
fn every_path_that_a_document_names_exists() -> Result<()> {
    let is_path = |text: &str| {
        ["core/", "filter/", "component/", "cases/", "control/", "tests/", "xtask/", "envoy/", "docs/"]
            .iter()
            .any(|folder| text.starts_with(folder))
            && text.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char))
    };
    let named = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    for document in named.map(str::to_owned).into_iter().chain(docs()?) {
        let text = fs::read_to_string(repository().join(&document)).with_context(|| document.clone())?;
        for name in text.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
            ensure!(repository().join(name).exists(), "{document} names `{name}`, which is not there");
        }
    }
    Ok(())
}

/// Each page of a decision has a heading with its number and its sections, and stands in the index; numbers have no gaps.
#[test]
fn every_decision_has_its_sections_and_a_row_in_the_index() -> Result<()> {
    const INDEX: &str = "docs/decisions/README.md";
    let index = fs::read_to_string(repository().join(INDEX))?;
    let pages = docs()?.into_iter().filter(|page| page.starts_with("docs/decisions/") && page != INDEX);
    let mut count = 0;
    for (page, number) in pages.zip(1..) {
        let text = fs::read_to_string(repository().join(&page))?;
        let name = page.rsplit('/').next().unwrap_or_default();
        ensure!(name.starts_with(&format!("{number:03}-")), "{page}: the number {number:03} comes next");
        let heading = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number:03}. ")));
        let title = heading.with_context(|| format!("{page} begins with `# {number:03}. Title`"))?;
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        ensure!(sections == ["Context", "Decision", "Consequence"], "{page} has the sections {sections:?}");
        let row = format!("| [{number:03}]({name}) | {title} |");
        ensure!(index.contains(&row), "{INDEX} has no row `{row}`");
        count = number;
    }
    let rows = index.lines().filter(|line| line.starts_with("| [")).count();
    ensure!(rows == count, "{INDEX} has {rows} rows for {count} pages");
    Ok(())
}
