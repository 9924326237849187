//! The book builds, and its search finds the right page first.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools::{self, NODE_REMEDY, project_root};

/// The page of all fields of a policy. Where one has the name that is searched for, it comes before the page that explains.
const FIELDS: &str = "docs/policies/reference.html";
/// Search words of readers, each with the page that must come first, beside [`FIELDS`].
const SEARCHES: [(&str, &str); 12] = [
    ("revoke", "docs/operate/tokens.html"),
    ("rotate", "docs/operate/tokens.html"),
    ("failover", "docs/policies/credentials.html"),
    ("cooldown", "docs/policies/credentials.html"),
    ("circuit breaker", "docs/policies/credentials.html"),
    ("Helm", "docs/deploy/kubernetes.html"),
    ("Docker", "docs/deploy/containers.html"),
    ("Claude Code", "docs/start/coding-agents.html"),
    ("budget", "docs/policies/budgets.html"),
    ("troubleshooting", "docs/start/troubleshooting.html"),
    ("token_expired", "docs/policies/reasons.html"),
    ("runbook", "docs/operate/alerts.html"),
];

#[test]
fn the_book_builds_and_its_search_finds_the_page_that_answers() -> Result<()> {
    tools::run(Command::new(env!("CARGO_BIN_EXE_xtask")).arg("docs"), "it was built with this test")?;
    let book = project_root().join("target/book");
    ensure!(book.join("index.html").is_file() && book.join("docs/pictures/overview.svg").is_file());
    let search = project_root().join("tests/browser/search.mjs");
    let words = SEARCHES.map(|(words, _)| words);
    let found = tools::run(Command::new("node").arg(search).arg(&book).args(words), NODE_REMEDY)?;
    let mut lines = found.lines();
    for (words, page) in SEARCHES {
        let line = lines.next().with_context(|| format!("no line for `{words}`"))?;
        let first = line.split(' ').find(|found| *found != FIELDS).unwrap_or_default();
        ensure!(first == page, "a search for `{words}` finds {line}");
    }
    Ok(())
}
