//! The action in `packaging/action`, run as a runner runs it: installs, annotations, summaries and outputs.

use std::{collections::BTreeMap, fs, os::unix::fs::symlink, process::Command};

use anyhow::{Context as _, Result, ensure};
use keyswap_core::base::Digest;
use keyswap_tests::{
    KEYSWAP,
    tools::{self, project_root},
};
use tempfile::TempDir;

use crate::files::{ACTION, yaml};

/// A job of a runner, as far as the action sees it.
struct Job {
    folder: TempDir,
    inputs: BTreeMap<&'static str, String>,
}

/// The end of a step.
#[derive(Debug)]
struct Ended {
    succeeds: bool,
    log: String,
    summary: String,
    outputs: String,
}

impl Job {
    /// Starts a job in a checkout with a policy and its cases.
    fn new() -> Result<Self> {
        let job = Self { folder: tempfile::tempdir()?, inputs: BTreeMap::new() };
        let envoy = project_root().join("envoy");
        for name in ["policy.yaml", "policy.tests.yaml", "policy-mesh.yaml"] {
            fs::copy(envoy.join(name), job.folder.path().join(name))?;
        }
        Ok(job)
    }

    fn input(mut self, name: &'static str, value: &str) -> Self {
        self.inputs.insert(name, value.to_owned());
        self
    }

    fn file(self, name: &str, text: &str) -> Result<Self> {
        fs::write(self.folder.path().join(name), text)?;
        Ok(self)
    }

    fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=n", "-c", "user.email=n@example.com", "-c", "commit.gpgSign=false"]);
        git.args(arguments).current_dir(self.folder.path());
        tools::run(&mut git, "install git").map(drop)
    }

    /// Runs a step of the action with the inputs that `action.yml` gives it.
    fn step(&self, index: usize, also: &[(&str, &str)]) -> Result<Ended> {
        let action = yaml(ACTION)?;
        let step = &action["runs"]["steps"][index];
        let mut command = Command::new("bash");
        command.args([
            "--noprofile",
            "--norc",
            "-eo",
            "pipefail",
            "-c",
            step["run"].as_str().context("a script")?,
        ]);
        command
            .current_dir(self.folder.path())
            .env("GITHUB_ACTION_PATH", project_root().join("packaging/action"));
        for name in ["GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
            fs::write(self.folder.path().join(name), "")?;
            command.env(name, self.folder.path().join(name));
        }
        command.env_remove("GITHUB_BASE_REF").env("RUNNER_TOOL_CACHE", self.folder.path().join("tools"));
        for (variable, value) in step["env"].as_object().context("variables")? {
            let input = value.as_str().and_then(|value| value.split("inputs.").nth(1)?.split(' ').next());
            let Some(input) = input else { continue };
            let default = action["inputs"][input]["default"].as_str();
            let value = self.inputs.get(input).map(String::as_str).or(default);
            command.env(variable, value.with_context(|| format!("the action has no input `{input}`"))?);
        }
        let output = command.envs(also.iter().copied()).output()?;
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name));
        Ok(Ended {
            succeeds: output.status.success(),
            log: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
            summary: read("GITHUB_STEP_SUMMARY")?,
            outputs: read("GITHUB_OUTPUT")?,
        })
    }

    /// Runs the second step with the built command.
    fn run(&self, also: &[(&str, &str)]) -> Result<Ended> {
        let command = KEYSWAP.path()?;
        self.step(1, &[&[("KEYSWAP", &*command.to_string_lossy())], also].concat())
    }
}

#[test]
fn the_action_puts_a_command_that_is_there_on_the_path() -> Result<()> {
    let command = KEYSWAP.path()?;
    let job = Job::new()?;
    symlink(command, job.folder.path().join("keyswap"))?;
    let job = job.input("command", "keyswap");
    let ended = job.step(0, &[])?;
    ensure!(ended.succeeds, "{ended:?}");
    let folder = job.folder.path().canonicalize()?;
    ensure!(ended.outputs == format!("command={}\n", folder.join("keyswap").display()), "{ended:?}");
    let path = fs::read_to_string(job.folder.path().join("GITHUB_PATH"))?;
    ensure!(path == format!("{}\n", folder.display()), "{path}");
    Ok(())
}

#[test]
fn the_action_installs_the_version_that_is_asked_for_and_no_other() -> Result<()> {
    // A package index of files, with the package in the one version.
    let index = tempfile::tempdir()?;
    let make = "import sys, zipfile\n\
        with zipfile.ZipFile(f'{sys.argv[1]}/keyswap-9.8.7-py3-none-any.whl', 'w') as wheel:\n    \
        info = 'keyswap-9.8.7.dist-info/'\n    \
        script = zipfile.ZipInfo('keyswap-9.8.7.data/scripts/keyswap')\n    \
        script.external_attr = 0o100755 << 16\n    \
        wheel.writestr(script, '#!/bin/sh\\necho 9.8.7\\n')\n    \
        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: keyswap\\nVersion: 9.8.7\\n')\n    \
        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n    \
        wheel.writestr(info + 'RECORD', '')\n";
    let mut python = Command::new("python3");
    tools::run(python.args(["-c", make]).arg(index.path()), tools::PYTHON_REMEDY)?;
    let index = index.path().to_string_lossy().into_owned();
    let offline = [("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", index.as_str())];
    for (name, value, succeeds) in [
        ("version", "9.8.7", true),
        ("version", "9.8.6", false),
        ("version", "", false),
        ("version", ">=1", false),
        ("version", "9.8.7 --index-url=http://127.0.0.1:9", false),
        ("requirements", "hashed.txt", true),
        ("requirements", "other.txt", false),
        ("requirements", "plain.txt", false),
        ("requirements", "none.txt", false),
        ("command", "none", false),
    ] {
        let wheel = fs::read(format!("{index}/keyswap-9.8.7-py3-none-any.whl"))?;
        let hash = Digest::of(&wheel).to_hex();
        let job = Job::new()?
            .file("plain.txt", "keyswap==9.8.7\n")?
            .file("hashed.txt", &format!("keyswap==9.8.7 --hash=sha256:{hash}\n"))?
            .file("other.txt", &format!("keyswap==9.8.7 --hash=sha256:{}\n", "0".repeat(64)))?
            .input(name, value);
        let ended = job.step(0, &offline)?;
        ensure!(ended.succeeds == succeeds, "{name}: {value}: {ended:?}");
        ensure!(
            succeeds || (ended.log.contains("::error title=keyswap::") && ended.outputs.is_empty()),
            "{ended:?}"
        );
        if succeeds {
            let command = ended.outputs.trim().strip_prefix("command=").context("a command")?;
            ensure!(tools::run(&mut Command::new(command), "it was installed")? == "9.8.7\n");
            // The second time nothing is installed.
            let again = job.step(0, &[("PIP_NO_INDEX", "1")])?;
            ensure!(again.succeeds && again.outputs == ended.outputs, "{again:?}");
        }
    }
    Ok(())
}

/// The inputs of a step.
type Inputs = &'static [(&'static str, &'static str)];

/// Inputs with a part of the log, which is empty if the step succeeds, and with the number of findings; 0 where nothing
/// could be judged.
const STEPS: [(Inputs, &str, usize); 11] = [
    (&[("run", "check lint test")], "", 0),
    (&[("run", "")], "", 0),
    (
        &[("run", "check"), ("policy", "invalid.yaml")],
        "::error file=invalid.yaml,title=keyswap policy check::tokenz: unknown field",
        2,
    ),
    (
        &[("run", "lint"), ("policy", "policy-mesh.yaml")],
        "::warning file=policy-mesh.yaml,title=keyswap policy lint::registry.plaintext: ",
        1,
    ),
    (&[("run", "lint"), ("policy", "policy-mesh.yaml"), ("allow", "plaintext-channel")], "", 0),
    (
        &[("run", "test"), ("cases", "failing.yaml")],
        "::error file=failing.yaml,title=keyswap policy test::to a host: verdict: expected \"forward\", found \"reply\"",
        1,
    ),
    (
        &[("run", "test"), ("cases", "wrong.yaml\nfailing.yaml")],
        "::error file=wrong.yaml,title=keyswap policy test::cases[0].nam: ",
        1,
    ),
    (
        &[("run", "check"), ("policy", "none.yaml")],
        "::error title=keyswap::error: cannot read `none.yaml`",
        0,
    ),
    (&[("run", "check"), ("policy", "--help")], "::error title=keyswap::input `policy`: expected a path", 0),
    (
        &[("run", "chekc")],
        "::error title=keyswap::input `run`: expected `check`, `lint`, `test`, `diff`, found `chekc`",
        0,
    ),
    // The text of a policy is no command for the runner.
    (&[("run", "check"), ("policy", "strange.yaml")], "::add-mask::b, 100%25\": unknown field", 2),
];

#[test]
fn the_action_shows_what_the_command_finds_and_fails_by_it() -> Result<()> {
    let failing = "{name: to a host, request: {method: GET, target: /v1/models}, forward: {authority: a}}";
    for (inputs, log, findings) in STEPS {
        let mut job = Job::new()?
            .file("invalid.yaml", "version: keyswap/v1\ntokenz: []\n")?
            .file("strange.yaml", "version: keyswap/v1\n\"a\\n::add-mask::b, 100%\": 1\n")?
            .file("wrong.yaml", "cases: [{nam: x}]\n")?
            .file("failing.yaml", &format!("cases: [{failing}]\n"))?;
        job.inputs.extend(inputs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let ended = job.run(&[])?;
        ensure!(ended.succeeds == log.is_empty() && ended.log.contains(log), "{inputs:?}: {ended:?}");
        ensure!(ended.succeeds == ended.log.is_empty(), "{inputs:?}: {ended:?}");
        let is_annotation = |line: &str| line.starts_with("::error ") || line.starts_with("::warning ");
        ensure!(ended.log.lines().all(is_annotation), "a line of the policy is a command: {ended:?}");
        let is_judged = ended.succeeds || findings > 0;
        let told = format!("findings={findings}\nchanges=0\n");
        ensure!(ended.outputs == if is_judged { told.as_str() } else { "" }, "{inputs:?}: {ended:?}");
        let steps = if is_judged { inputs[0].1.split_whitespace().count() } else { 0 };
        ensure!(ended.summary.matches("### keyswap policy").count() == steps, "{inputs:?}: {ended:?}");
    }
    Ok(())
}

#[test]
fn the_action_compares_with_the_base_of_a_pull_request() -> Result<()> {
    let job = Job::new()?.input("run", "diff");
    // Without a pull request, and with a base that cannot be read, nothing was compared.
    let ended = job.run(&[])?;
    ensure!(!ended.succeeds && ended.log.contains("input `old`"), "{ended:?}");
    job.git(&["init", "--quiet"])?;
    let of_pull_request = [("GITHUB_BASE_REF", "main")];
    let ended = job.run(&of_pull_request)?;
    ensure!(!ended.succeeds && ended.log.contains("fetch-depth: 0"), "{ended:?}");
    job.git(&["add", "policy.yaml"])?;
    job.git(&["commit", "--quiet", "--message", "base"])?;
    job.git(&["update-ref", "refs/remotes/origin/main", "HEAD"])?;
    let ended = job.run(&of_pull_request)?;
    ensure!(ended.succeeds && ended.outputs.contains("changes=0\n") && ended.log.is_empty(), "{ended:?}");
    let policy = fs::read_to_string(job.folder.path().join("policy.yaml"))?;
    let wider = policy.replace("expires_at: 2030-06-30", "expires_at: 2031-06-30");
    ensure!(wider != policy);
    let job = job.file("policy.yaml", &wider)?;
    let ended = job.run(&of_pull_request)?;
    ensure!(ended.succeeds && ended.outputs.contains("changes=1\n"), "{ended:?}");
    ensure!(
        ended.log.starts_with("::warning file=policy.yaml,title=keyswap policy diff::tokens "),
        "{ended:?}"
    );
    let job = job.input("fail-on-diff", "true");
    ensure!(!job.run(&of_pull_request)?.succeeds);
    // A policy that the base does not have is no failure, and one that is given is taken.
    let ended =
        job.input("policy", "policy-mesh.yaml").input("fail-on-diff", "false").run(&of_pull_request)?;
    ensure!(ended.succeeds && ended.log.contains("the base has no such policy"), "{ended:?}");
    Ok(())
}

#[test]
fn every_input_of_the_action_is_in_its_page() -> Result<()> {
    let page = fs::read_to_string(project_root().join("packaging/action/README.md"))?;
    for name in yaml(ACTION)?["inputs"].as_object().context("inputs")?.keys() {
        ensure!(page.contains(&format!("| `{name}` |")), "{name} is not in the table");
    }
    Ok(())
}
