//! The documents: examples are tested files, commands run, generated parts are current, links have targets.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    os::unix::fs::symlink,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use keyswap_core::{
    answer::Reason,
    base::UnixTime,
    policy::{self, Policy},
};
use keyswap_tests::{
    Bootstrap, KEYSWAP,
    docs::{self, Page, UPDATE},
    tools,
};
use serde_json::json;

/// The maximum length of README.md.
const MAX_README_LINES: usize = 150;

fn page(path: &str) -> Result<Page> {
    let found = docs::pages()?.into_iter().find(|page| page.path == path);
    found.with_context(|| format!("there is no document `{path}`"))
}

#[test]
fn the_generated_parts_of_the_documents_are_current() -> Result<()> {
    if docs::is_update() {
        return docs::update();
    }
    for page in docs::pages()? {
        ensure!(
            page.text == docs::current(&page)?,
            "{} is out of date: run this test with {UPDATE}=1",
            page.path
        );
    }
    Ok(())
}

#[test]
fn every_promise_names_a_test_that_exists() -> Result<()> {
    let text = page("SECURITY.md")?.text;
    let promises = text.split_once("## Promises").and_then(|(_, rest)| rest.split_once("## Limits"));
    let (promises, _) = promises.context("SECURITY.md has promises and limits")?;
    let promises: Vec<&str> = promises.split("\n- ").skip(1).collect();
    ensure!(promises.len() > 30, "{} promises", promises.len());
    for promise in promises {
        let named: Vec<&str> = promise.split('`').skip(1).step_by(2).collect();
        let mut tests = named.into_iter().filter(|name| name.contains("tests/")).peekable();
        ensure!(tests.peek().is_some(), "this promise names no test: {promise}");
        for test in tests {
            ensure!(tools::project_root().join(test).exists(), "`{test}` does not exist");
        }
    }
    Ok(())
}

/// Runs the commands of a document in one shell, which keeps variables and jobs between them.
fn run_commands(page: &Page, path: &std::ffi::OsStr) -> Result<()> {
    let script = docs::scripts(&page.text).concat();
    let folder = tempfile::tempdir()?;
    for name in ["envoy", "component", "packaging"] {
        symlink(tools::project_root().join(name), folder.path().join(name))?;
    }
    let output = Command::new("bash")
        .args(["-euxo", "pipefail", "-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()?;
    ensure!(
        output.status.success(),
        "the commands of {} fail:\n{}{}",
        page.path,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[test]
fn the_commands_of_the_documents_run() -> Result<()> {
    let command = KEYSWAP.path()?;
    let beside = command.parent().context("the command is in a folder")?.to_owned();
    let others: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    let path = env::join_paths([beside].into_iter().chain(others))?;
    let pages: Vec<Page> =
        docs::pages()?.into_iter().filter(|page| !docs::scripts(&page.text).is_empty()).collect();
    ensure!(pages.len() > 10, "hardly any document has commands to run");
    pages.iter().try_for_each(|page| run_commands(page, &path))
}

#[test]
fn every_link_of_the_documents_leads_somewhere() -> Result<()> {
    docs::check_links()
}

#[test]
fn the_readme_is_one_page_and_begins_the_book() -> Result<()> {
    let lines = page("README.md")?.text.lines().count();
    ensure!(lines <= MAX_README_LINES, "README.md has {lines} lines");
    let first = docs::chapters()?.into_iter().next().context("the book has pages")?;
    ensure!(first.path == "README.md", "the book begins with {}", first.path);
    Ok(())
}

#[test]
fn files_of_a_release_have_the_version_of_this_one() -> Result<()> {
    let mut named = 0;
    for page in docs::pages()? {
        for rest in page
            .text
            .split("keyswap-")
            .skip(1)
            .filter(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
        {
            let version = rest
                .split(|it: char| !it.is_ascii_digit() && it != '.')
                .next()
                .unwrap_or_default()
                .trim_end_matches('.');
            ensure!(version == env!("CARGO_PKG_VERSION"), "{} names keyswap-{version}", page.path);
            named += 1;
        }
    }
    ensure!(named > 0, "no page names a file of a release");
    Ok(())
}

#[test]
fn every_page_of_the_book_is_in_its_summary_once() -> Result<()> {
    let chapters: Vec<String> = docs::chapters()?.into_iter().map(|chapter| chapter.path).collect();
    let named: BTreeSet<&str> = chapters.iter().map(String::as_str).collect();
    ensure!(named.len() == chapters.len(), "the summary names a page twice");
    for page in
        docs::pages()?.iter().filter(|page| page.path.starts_with("docs/") && page.path != "docs/SUMMARY.md")
    {
        ensure!(named.contains(page.path.as_str()), "docs/SUMMARY.md does not name {}", page.path);
        ensure!(page.text.starts_with("# "), "{} has no title", page.path);
    }
    Ok(())
}

/// Checks that a page has a heading for each of the names.
fn ensure_headings(path: &str, expected: &[String]) -> Result<()> {
    let text = page(path)?.text;
    let found: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    for heading in expected {
        ensure!(found.contains(heading.as_str()), "{path} has no heading `## {heading}`");
    }
    Ok(())
}

#[test]
fn every_reason_lint_and_alert_has_a_heading_that_answers() -> Result<()> {
    let coded = |code: &str| format!("`{code}`");
    let reasons: Vec<String> = Reason::ALL.iter().map(|reason| coded(reason.code())).collect();
    ensure_headings("docs/policies/reasons.md", &reasons)?;
    let listed =
        tools::run(Command::new(KEYSWAP.path()?).args(["policy", "lint", "--list"]), "it was built")?;
    let lints: Vec<String> =
        listed.lines().skip(2).filter_map(|row| row.split('`').nth(1)).map(coded).collect();
    ensure!(lints.len() > 10, "{listed}");
    ensure_headings("docs/policies/lints.md", &lints)?;
    ensure_headings("docs/operate/alerts.md", &docs::alerts()?)
}

/// Each preset of an identity provider has a section, whose policy holds and has no finding.
#[test]
fn every_preset_has_a_section_with_a_policy_that_holds() -> Result<()> {
    const PAGE: &str = "docs/policies/issuers.md";
    let text = page(PAGE)?.text;
    let sections: BTreeMap<&str, &str> =
        text.split("\n## `").filter_map(|part| part.split_once('`')).collect();
    for preset in policy::presets() {
        let section = sections.get(preset).with_context(|| format!("{PAGE} has no section `{preset}`"))?;
        let snippet = section.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        let mut document: serde_json::Value = serde_saphyr::from_str(snippet.context(preset)?)?;
        ensure!(
            document["issuers"][0]["preset"] == preset,
            "{PAGE}: the snippet of `{preset}` is of another"
        );
        document["version"] = "keyswap/v1".into();
        document["credentials"] = json!({"openai": [{"env": "OPENAI_API_KEY"}]});
        document["principals"] = json!([{"email": "alice@example.com", "providers": ["openai"]}]);
        let policy = Policy::from_json(document.to_string().as_bytes())
            .map_err(|errors| anyhow!("{preset}: {errors}"))?;
        let findings = policy.lint(UnixTime(1_800_000_000));
        ensure!(findings.is_empty(), "{PAGE}: `{preset}` has findings: {findings:?}");
    }
    Ok(())
}

#[test]
fn the_policy_of_the_bootstrap_is_the_one_of_the_documents() -> Result<()> {
    let text = std::fs::read_to_string(tools::project_root().join("envoy/policy.yaml"))?;
    let policy: serde_json::Value = serde_saphyr::from_str(&text)?;
    ensure!(Bootstrap::shipped()?.policy()? == policy, "envoy/bootstrap.yaml and envoy/policy.yaml differ");
    Ok(())
}

#[test]
fn every_path_that_a_document_names_exists() -> Result<()> {
    let is_path = |text: &str| {
        [
            "core/",
            "filter/",
            "component/",
            "cases/",
            "control/",
            "tests/",
            "xtask/",
            "envoy/",
            "docs/",
            "packaging/",
        ]
        .iter()
        .any(|folder| text.starts_with(folder))
            && text.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char))
    };
    // The changelog names deleted files.
    for page in docs::pages()?.iter().filter(|page| page.path != "CHANGELOG.md") {
        for name in page.text.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
            ensure!(
                tools::project_root().join(name).exists(),
                "{} names `{name}`, which is not there",
                page.path
            );
        }
    }
    Ok(())
}

/// Each page of a decision has a heading with its number and its sections, and is in the index; numbers have no gaps.
#[test]
fn every_decision_has_its_sections_and_a_row_in_the_index() -> Result<()> {
    const INDEX: &str = "docs/decisions/README.md";
    let index = page(INDEX)?.text;
    let all = docs::pages()?;
    let pages = all.iter().filter(|page| page.path.starts_with("docs/decisions/") && page.path != INDEX);
    let mut count = 0;
    for (Page { path, text }, number) in pages.zip(1..) {
        let name = path.rsplit('/').next().unwrap_or_default();
        ensure!(name.starts_with(&format!("{number:03}-")), "{path}: the number {number:03} comes next");
        let heading = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {number:03}. ")));
        let title = heading.with_context(|| format!("{path} begins with `# {number:03}. Title`"))?;
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        ensure!(sections == ["Context", "Decision", "Consequence"], "{path} has the sections {sections:?}");
        let row = format!("| [{number:03}]({name}) | {title} |");
        ensure!(index.contains(&row), "{INDEX} has no row `{row}`");
        count = number;
    }
    let rows = index.lines().filter(|line| line.starts_with("| [")).count();
    ensure!(rows == count, "{INDEX} has {rows} rows for {count} pages");
    Ok(())
}
