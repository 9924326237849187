//! Files in `packaging/`, `.github/` and `.devcontainer/` that other programs read: workflows, the action, the compose
//! file. Each is held against its schema or by its linter, and what runs on this machine is run.

mod action;
mod files;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    KEYSWAP,
    tools::{self, project_root},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use files::{ACTION, yaml};

const WORKFLOWS: [&str; 2] = [".github/workflows/ci.yml", ".github/workflows/release.yml"];
const COMPOSE: &str = "packaging/compose/compose.yaml";

/// Returns the folder of the packages with the linter and the schemas.
fn packages() -> Result<PathBuf> {
    tools::python_packages("lint", &project_root().join("tests/packaging/lint.txt"))
}

/// Returns the violations of a schema, by its name in the package.
fn violations(schema: &str, document: &Value) -> Result<Vec<String>> {
    let file = format!("check_jsonschema/builtin_schemas/vendor/{schema}.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(packages()?.join(file))?)?;
    let schema = jsonschema::validator_for(&schema).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect())
}

#[test]
fn every_file_for_another_program_fits_its_schema() -> Result<()> {
    let files = [("github-actions", ACTION), ("compose-spec", COMPOSE)];
    for (schema, path) in WORKFLOWS.map(|path| ("github-workflows", path)).into_iter().chain(files) {
        let mut document = yaml(path)?;
        let found = violations(schema, &document)?;
        ensure!(found.is_empty(), "{path}: {found:?}");
        document["unknown"] = json!(1);
        ensure!(!violations(schema, &document)?.is_empty(), "the schema of {path} permits anything");
    }
    Ok(())
}

/// Returns the linter's findings in the workflows and actions below a folder.
fn lint(folder: &Path) -> Result<String> {
    let shellcheck = tools::of_debian("shellcheck", "shellcheck")?;
    let linter = packages()?.join("jactionlint/bin/jactionlint");
    // The package is installed as files, without the permission to execute.
    let copy = folder.join("linter");
    fs::copy(linter, &copy)?;
    let mut command = Command::new("chmod");
    tools::run(command.arg("+x").arg(&copy), "it is part of every system")?;
    let output = Command::new(&copy)
        .args(["--strict-exit", "--oneline", "--no-online", "--no-color"])
        .arg(format!("--shellcheck={}", shellcheck.display()))
        .current_dir(folder)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() == text.trim().is_empty(), "{output:?}");
    Ok(text)
}

/// Makes a repository of the workflows and the action alone.
fn repository() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir(folder.path().join(".git"))?;
    for path in WORKFLOWS.into_iter().chain([ACTION]) {
        let copy = folder.path().join(path);
        fs::create_dir_all(copy.parent().context("a folder")?)?;
        fs::copy(project_root().join(path), copy)?;
    }
    Ok(folder)
}

#[test]
fn workflows_and_the_action_have_no_finding_of_the_linter() -> Result<()> {
    let folder = repository()?;
    let found = lint(folder.path())?;
    ensure!(found.is_empty(), "{found}");
    // The linter reads all three, and finds what would be wrong.
    for (path, from, to, finding) in [
        (WORKFLOWS[0], "@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "@v6", "unpinned"),
        (WORKFLOWS[1], "steps.index.outputs", "steps.indx.outputs", "indx"),
        (WORKFLOWS[1], "${GITHUB_REF_NAME#v}\\\"", "${{ github.ref_name }}\\\"", "injection"),
        (ACTION, "steps.install.outputs", "steps.instal.outputs", "instal"),
    ] {
        let folder = repository()?;
        let copy = folder.path().join(path);
        let text = fs::read_to_string(&copy)?;
        ensure!(text.contains(from), "{path} has no {from}");
        fs::write(copy, text.replacen(from, to, 1))?;
        let found = lint(folder.path())?;
        ensure!(found.contains(finding), "expected a finding `{finding}` in {path}, found: {found}");
    }
    Ok(())
}

#[test]
fn scripts_have_no_finding_of_the_linter() -> Result<()> {
    let shellcheck = tools::of_debian("shellcheck", "shellcheck")?;
    let mut command = Command::new(shellcheck);
    command.args(["packaging/action/install.sh", ".ci/run"]).current_dir(project_root());
    tools::run(&mut command, "install shellcheck").map(drop)
}

#[test]
fn only_reviewed_jobs_may_publish_and_none_of_a_pull_request() -> Result<()> {
    let ci = yaml(WORKFLOWS[0])?;
    // Steps after it are of scheduled runs.
    let mut steps = ci["jobs"]["everything"]["steps"].as_array().into_iter().flatten();
    let last = steps.rfind(|step| step["if"].is_null()).context("a step")?;
    ensure!(last["run"] == ".ci/run", "{last}");
    let toolchain = fs::read_to_string(project_root().join("rust-toolchain.toml"))?;
    let image = ci["jobs"]["everything"]["container"]["image"].as_str().context("an image")?;
    let version = image.split([':', '-']).nth(1).context("a version")?;
    ensure!(toolchain.contains(&format!("channel = \"{version}.")), "{image} has another toolchain");
    for path in WORKFLOWS {
        let workflow = yaml(path)?;
        ensure!(workflow["permissions"] == json!({}), "{path} has permissions for all jobs");
        for (name, job) in workflow["jobs"].as_object().context("jobs")? {
            let permissions =
                job["permissions"].as_object().with_context(|| format!("{name}: permissions"))?;
            let may_write = permissions.iter().any(|(_, right)| right == "write");
            // Attestations say what was built, and are made before anything is published.
            let is_reviewed = job["environment"].is_string() || name == "attest";
            ensure!(!may_write || (is_reviewed && path == WORKFLOWS[1]), "{name} may write");
            ensure!(job["timeout-minutes"].is_u64(), "{name} may hang");
            let needs = &job["needs"];
            let waits =
                *needs == "attest" || needs.as_array().is_some_and(|needs| needs.contains(&json!("attest")));
            ensure!(!job["environment"].is_string() || waits, "{name} publishes before the attestation");
        }
    }
    Ok(())
}

#[test]
fn the_compose_file_holds_no_secret_and_listens_on_this_machine_only() -> Result<()> {
    let compose = yaml(COMPOSE)?;
    let services = compose["services"].as_object().context("services")?;
    ensure!(services.keys().collect::<Vec<_>>() == ["envoy", "registry"], "{services:?}");
    for (name, service) in services {
        let image = service["image"].as_str().context("an image")?;
        ensure!(
            image.starts_with("${") && image.contains(":?"),
            "{name}: an image without a digest: {image}"
        );
        for port in service["ports"].as_array().context("ports")? {
            ensure!(port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")), "{name}: {port}");
        }
        ensure!(service["privileged"].is_null() && service["security_opt"][0] == "no-new-privileges:true");
        for volume in service["volumes"].as_array().context("volumes")? {
            let volume = volume.as_str().context("a text")?;
            ensure!(volume == "./data:/data" || volume.ends_with(":ro"), "{name} may write {volume}");
        }
    }
    let help = tools::run(Command::new(KEYSWAP.path()?).args(["serve", "--help"]), "it was built")?;
    let environment = services["registry"]["environment"].as_object().context("variables")?;
    for (name, value) in environment {
        ensure!(help.contains(name.as_str()), "`keyswap serve` knows no {name}");
        ensure!(
            !["TOKEN", "PASSWORD"].iter().any(|word| name.ends_with(word)),
            "{name} is a secret: {value}"
        );
    }
    Ok(())
}

#[test]
fn the_development_container_has_what_the_readme_asks_for() -> Result<()> {
    let text = fs::read_to_string(project_root().join(".devcontainer/devcontainer.json"))?;
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    let json: String = text.lines().filter(|line| !is_comment(line)).collect();
    let container: Value = serde_json::from_str(&json)?;
    let image = container["image"].as_str().context("an image")?;
    ensure!(image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest"), "{image} is not pinned");
    let install = container["onCreateCommand"].as_str().context("a command")?;
    for package in ["python3", "python3-pip", "nodejs", "npm", "curl"] {
        ensure!(install.split(' ').any(|word| word == package), "{package} is not installed");
    }
    ensure!(container["forwardPorts"] == json!([10000, 7070]));
    Ok(())
}
