//! The workflow of releases: each file has one job that publishes it.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::tools;

use crate::released;

/// Returns the files that the patterns of a job mean, as its shell expands them. A pattern that means none is an error.
fn meant(patterns: &str, folder: &Path) -> Result<Vec<String>> {
    let mut shell = Command::new("bash");
    shell.args(["-ec", "for file in $FILES; do ls -d \"$file\"; done"]);
    let listed = tools::run(shell.env("FILES", patterns).current_dir(folder), "install bash")?;
    let listed: Vec<String> = listed.lines().map(str::to_owned).collect();
    ensure!(listed.len() >= patterns.split_whitespace().count(), "a pattern of `{patterns}` means no file");
    Ok(listed)
}

#[test]
fn each_file_of_a_release_is_published_by_one_job() -> Result<()> {
    let release = released()?;
    let mut publishers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in fs::read_dir(release.path())? {
        publishers.insert(entry?.file_name().to_string_lossy().into_owned(), Vec::new());
    }
    let workflow = tools::yaml(".github/workflows/release.yml")?;
    for (name, job) in workflow["jobs"].as_object().context("jobs")? {
        let Some(patterns) = job["env"]["FILES"].as_str() else {
            // The crate is packed from the sources.
            let is_in_need = job["environment"].is_string() && name != "crate";
            ensure!(!is_in_need, "the job `{name}` names no files");
            continue;
        };
        ensure!(job["environment"].is_string(), "the job `{name}` publishes without a review");
        ensure!(job["steps"].to_string().contains("$FILES"), "no step of `{name}` uses its files");
        for file in meant(patterns, release.path())? {
            let publishers =
                publishers.get_mut(&file).with_context(|| format!("no `{file}` in a release"))?;
            publishers.push(name.clone());
        }
    }
    let wrong: Vec<_> = publishers.iter().filter(|(_, jobs)| jobs.len() != 1).collect();
    ensure!(wrong.is_empty(), "files without a job, or with several: {wrong:?}");
    Ok(())
}
