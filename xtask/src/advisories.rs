//! `cargo xtask advisories`: checks the dependencies against a copy of the `RustSec` database, without the internet.
//!
//! `.ci/advisories.json` has the facts of every advisory, and none of the texts. So a dependency that is new here is checked,
//! too.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools::{project_root, run as output_of};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The copy.
const COPY: &str = ".ci/advisories.json";
/// The folder of the database as cargo-deny names it, after the address.
const FOLDER: &str = "advisory-db-3157b0e258782691";
/// The address of the database.
const DATABASE: &str = "https://github.com/rustsec/advisory-db";
/// The tables and members of an advisory that are facts on which a check depends.
const FACTS: [(&str, &[&str]); 3] = [
    ("advisory", &["id", "package", "date", "informational", "withdrawn", "aliases"]),
    ("versions", &["patched", "unaffected"]),
    ("affected", &["arch", "os"]),
];
const GIT: &str = "install Git";

/// The options of `cargo xtask advisories`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Program of cargo-deny; `.ci/run` installs one into `.tools`.
    #[arg(long, default_value = "cargo-deny")]
    cargo_deny: PathBuf,
    /// Clone of the database, to copy instead of checking.
    #[arg(long, value_name = "CLONE")]
    update: Option<PathBuf>,
}

/// The advisories of one state of the database.
#[derive(Deserialize, Serialize)]
struct Copy {
    database: String,
    commit: String,
    /// The time of the commit, as in RFC 3339.
    date: String,
    advisories: Vec<Value>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(clone) = &options.update {
        return update(clone);
    }
    let text = fs::read_to_string(project_root().join(COPY)).with_context(|| COPY.to_owned())?;
    let copy: Copy = serde_json::from_str(&text).with_context(|| COPY.to_owned())?;
    let folder = tempfile::tempdir()?;
    check(&copy, folder.path(), options)?;
    eprintln!("the dependencies were checked against the advisories of {}", copy.date);
    Ok(())
}

/// Checks the dependencies against a copy. `folder` is empty.
fn check(copy: &Copy, folder: &Path, options: &Options) -> Result<()> {
    write(copy, &folder.join(FOLDER))?;
    let rules = fs::read_to_string(project_root().join("deny.toml"))?;
    let path = serde_json::to_string(folder)?;
    let place = format!("[advisories]\ndb-path = {path}\ndb-urls = [{DATABASE:?}]\n");
    // The copy is as old as it is, and the age is told.
    let rules = rules.replace("[advisories]\n", &(place + "maximum-db-staleness = \"P100Y\"\n"));
    let file = folder.join("deny.toml");
    fs::write(&file, rules)?;
    let mut deny = Command::new(&options.cargo_deny);
    deny.current_dir(project_root()).args(["--offline", "--log-level", "warn", "--config"]).arg(file);
    let deny = deny.args(["check", "advisories"]).status();
    let deny = deny
        .with_context(|| format!("cannot run `{}`: `.ci/run` installs it", options.cargo_deny.display()))?;
    ensure!(deny.success(), "an advisory is about a dependency");
    Ok(())
}

/// Writes a copy as the Git repository that cargo-deny reads.
fn write(copy: &Copy, folder: &Path) -> Result<()> {
    for advisory in &copy.advisories {
        let name = |member| advisory["advisory"][member].as_str().context("an advisory without a name");
        let place = folder.join("crates").join(name("package")?);
        fs::create_dir_all(&place)?;
        let text = format!("```toml\n{}```\n\n# {}\n", front_matter(advisory)?, name("id")?);
        fs::write(place.join(format!("{}.md", name("id")?)), text)?;
    }
    for arguments in
        [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message", &copy.commit]]
    {
        let mut git = Command::new("git");
        git.current_dir(folder).env("GIT_COMMITTER_DATE", &copy.date);
        for (name, value) in
            [("user.name", "keyswap"), ("user.email", "keyswap@localhost"), ("commit.gpgsign", "false")]
        {
            git.args(["-c", &format!("{name}={value}")]);
        }
        output_of(git.args(arguments), GIT)?;
    }
    Ok(())
}

/// Returns the TOML of an advisory. JSON's texts and lists of texts are TOML's.
fn front_matter(advisory: &Value) -> Result<String> {
    let mut text = String::new();
    for (table, _) in FACTS {
        writeln!(text, "[{table}]")?;
        for (name, value) in advisory[table].as_object().into_iter().flatten() {
            writeln!(text, "{name} = {value}")?;
        }
    }
    Ok(text)
}

fn update(clone: &Path) -> Result<()> {
    let git = |arguments: &[&str]| output_of(Command::new("git").arg("-C").arg(clone).args(arguments), GIT);
    let commit = git(&["show", "--no-patch", "--format=%H %cI", "HEAD"])?;
    let (commit, date) = commit.trim().split_once(' ').context("a commit and its time")?;
    let mut advisories = Vec::new();
    for package in fs::read_dir(clone.join("crates"))? {
        for file in fs::read_dir(package?.path())? {
            let path = file?.path();
            advisories.push(facts(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?);
        }
    }
    advisories.sort_by_key(|advisory| advisory["advisory"]["id"].to_string());
    ensure!(advisories.len() > 1000, "only {} advisories", advisories.len());
    let lines: Vec<String> = advisories.iter().map(Value::to_string).collect();
    let text = format!(
        "{{\"database\": {DATABASE:?}, \"commit\": {commit:?}, \"date\": {date:?}, \"advisories\": [\n{}\n]}}\n",
        lines.join(",\n")
    );
    Ok(fs::write(project_root().join(COPY), text)?)
}

/// Returns the facts of an advisory, whose file begins with TOML in a fence.
fn facts(file: &str) -> Result<Value> {
    let front = file
        .strip_prefix("```toml\n")
        .and_then(|rest| rest.split_once("\n```"))
        .context("no TOML in front")?
        .0;
    let front: Value = toml::from_str(front)?;
    let tables = FACTS.iter().filter_map(|(table, members)| {
        let members =
            members.iter().filter_map(|name| Some(((*name).to_owned(), front[*table].get(*name)?.clone())));
        let members: Map<String, Value> = members.collect();
        (!members.is_empty()).then(|| ((*table).to_owned(), Value::Object(members)))
    });
    Ok(Value::Object(tables.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_an_advisory_are_kept_and_its_texts_are_not() -> Result<()> {
        let file = "```toml\n[advisory]\nid = \"RUSTSEC-1\"\npackage = \"p\"\ndate = \"2026-01-01\"\nurl = \"u\"\n\
                    [versions]\npatched = [\">= 1.0\", '< 0.9']\n[affected.functions]\n\"p::f\" = []\n```\n\n# A title\n\nA text.\n";
        let facts = facts(file)?;
        let front = front_matter(&facts)?;
        assert_eq!(
            front,
            "[advisory]\ndate = \"2026-01-01\"\nid = \"RUSTSEC-1\"\npackage = \"p\"\n[versions]\n\
             patched = [\">= 1.0\",\"< 0.9\"]\n[affected]\n"
        );
        Ok(())
    }
}
