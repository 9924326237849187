//! Reading the files of cases, judging the cases, and reporting differences.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use keyswap_cases::{Case, CaseHost, Difference, Suite, SuiteError, SuiteErrors};
use keyswap_core::base::Moment;
use keyswap_core::host::Capabilities;
use serde::Serialize;
use serde_json::{Value, json};

use crate::command::policy::report::count;
use crate::command::policy::time::time;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::{self, Format, visible};

/// Test a policy with cases: requests and their expected decisions
///
/// The cases of `policy.yaml` are in `policy.tests.yaml` beside it, unless files or folders are passed. A case is a
/// request with one of `forward`, `reply` and `answer`, of which only the given members are compared. `provider`,
/// `principal` (the label) and `credential` (the name of the upstream credential) are compared where given.
///
/// Cases need no real tokens or identities. `{{token:alice-laptop}}` in a request is a generated token that replaces
/// the one with that label, or with that SHA-256. `identity: {issuer: access, email: alice@example.com}` is a JWT of that issuer with these
/// claims, signed by a generated key that replaces the issuer's. Claims are verified as usual.
///
/// One data plane judges the cases of a file in order: it keeps its caches and rate limit counts from case to case.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy test\n  keyswap policy test policy.yaml\n  \
     keyswap policy test policy.yaml cases/ --at 2027-06-30T00:00:00Z --format json"
))]
pub(in crate::command) struct Test {
    /// Policy to test, in YAML or JSON; or a file of cases with its own `policy`
    #[arg(default_value = "policy.yaml")]
    policy: PathBuf,
    /// Files of cases, or folders with such files (default: `policy.tests.yaml` beside the policy)
    cases: Vec<PathBuf>,
    /// Time to judge as of, unless a case or its file has its own `at` (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The outcome of a case.
#[derive(Serialize)]
struct Outcome {
    file: String,
    name: String,
    holds: bool,
    differences: Vec<Difference>,
    /// The checks of the decision, if the case differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<String>,
}

/// A valid file of cases.
struct Loaded {
    file: String,
    suite: Suite,
    host: CaseHost,
}

impl Test {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        let now = time(self.at.as_deref())?;
        let first = PolicyFile::read(&self.policy)?;
        let document = match first.document() {
            Ok(document) => document,
            Err(error) => return self.report_invalid(&[(first.name, SuiteErrors::whole(error))]),
        };
        // A file with `cases` contains its own policy.
        let has_cases = document.get("cases").is_some();
        // The engine's reader is stricter than the parser of the document.
        if let (false, Err(errors)) = (has_cases, first.policy()) {
            return self.report_invalid(&[(first.name, errors.into())]);
        }
        let files = match (has_cases, self.cases.is_empty()) {
            (true, _) => [vec![first], read_all(&self.cases)?].concat(),
            (false, true) => vec![PolicyFile::read(&beside(&self.policy)?)?],
            (false, false) => read_all(&self.cases)?,
        };
        let policy = (!has_cases).then_some(document);
        let mut loaded = Vec::new();
        let mut invalid = Vec::new();
        for file in &files {
            match load(file, policy.as_ref()) {
                Ok((suite, host)) => loaded.push(Loaded { file: file.name.clone(), suite, host }),
                Err(errors) => invalid.push((file.name.clone(), errors)),
            }
        }
        if !invalid.is_empty() {
            return self.report_invalid(&invalid);
        }
        let outcomes: Vec<Outcome> = loaded.iter().flat_map(|it| it.judge(now)).collect();
        if outcomes.is_empty() {
            bail!("no cases found");
        }
        self.report(&outcomes)
    }

    fn report(&self, outcomes: &[Outcome]) -> anyhow::Result<Exit> {
        let differ = outcomes.iter().filter(|outcome| !outcome.holds).count();
        match self.format {
            Format::Human => {
                let lines: Vec<String> = outcomes.iter().map(Outcome::lines).collect();
                let held = outcomes.len() - differ;
                let total = count(outcomes.len(), "case");
                output::print(&format!("{}\n{total}: {held} hold, {differ} differ", lines.join("\n")))?;
            }
            Format::Json => {
                let held = outcomes.len() - differ;
                output::print_json(
                    &json!({"valid": true, "held": held, "differed": differ, "cases": outcomes}),
                )?;
            }
        }
        Ok(if differ == 0 { Exit::Ok } else { Exit::Differs })
    }

    /// Reports the errors of the policy or of files of cases. Human-readable errors go to standard error.
    fn report_invalid(&self, files: &[(String, SuiteErrors)]) -> anyhow::Result<Exit> {
        let of_file = |(file, errors): &(String, SuiteErrors)| {
            let line = |it: &SuiteError| format!("{file}: {}", visible(&it.to_string()));
            errors.0.iter().map(line).collect::<Vec<_>>()
        };
        match self.format {
            Format::Human => output::note(&files.iter().flat_map(of_file).collect::<Vec<_>>().join("\n")),
            Format::Json => {
                let error = |(file, it): (&String, &SuiteError)| json!({"file": file, "path": it.path, "message": it.message});
                let errors = files.iter().flat_map(|(file, all)| all.0.iter().map(move |it| (file, it)));
                output::print_json(
                    &json!({"valid": false, "errors": errors.map(error).collect::<Vec<_>>()}),
                )?;
            }
        }
        Ok(Exit::Invalid)
    }
}

impl Loaded {
    fn judge(&self, now: Moment) -> Vec<Outcome> {
        let judge = |case: &Case| {
            let found = self.host.judge(case, self.suite.time_of(case).unwrap_or(now));
            let differences = case.compare(&found);
            let holds = differences.is_empty();
            let checks = if holds { Vec::new() } else { found.checks };
            Outcome { file: self.file.clone(), name: case.name.clone(), holds, differences, checks }
        };
        self.suite.cases.iter().map(judge).collect()
    }
}

impl Outcome {
    fn lines(&self) -> String {
        let mark = if self.holds { "ok    " } else { "DIFFERS" };
        let mut lines = vec![format!("{mark:8}{}: {}", self.file, visible(&self.name))];
        lines.extend(self.differences.iter().map(|it| format!("          {}", visible(&it.to_string()))));
        lines.extend(self.checks.iter().map(|it| format!("          | {}", visible(it))));
        lines.join("\n")
    }
}

fn load(file: &PolicyFile, policy: Option<&Value>) -> Result<(Suite, CaseHost), SuiteErrors> {
    let document = file.document().map_err(SuiteErrors::whole)?;
    let suite = Suite::read(document)?;
    let host = CaseHost::new(&suite, policy, Capabilities::MODULE)?;
    Ok((suite, host))
}

/// Returns the file of a policy's cases: `policy.tests.yaml` for `policy.yaml`.
fn beside(policy: &Path) -> anyhow::Result<PathBuf> {
    if input::is_stdin(policy) {
        bail!("the policy is read from standard input: pass a file of cases");
    }
    let stem = policy.file_stem().unwrap_or_default().to_string_lossy();
    let cases = policy.with_file_name(format!("{stem}.tests.yaml"));
    if !cases.exists() {
        bail!("no cases at {}: write them there, or pass their file", input::name(&cases));
    }
    Ok(cases)
}

/// Reads the files, and those in folders in the order of their names.
fn read_all(paths: &[PathBuf]) -> anyhow::Result<Vec<PolicyFile>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = || format!("cannot read {}", input::name(path));
        let entries = std::fs::read_dir(path).with_context(failed)?;
        let mut found = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()
            .with_context(failed)?;
        found.retain(|file| file.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json"));
        found.sort();
        files.extend(found);
    }
    files.iter().map(|file| PolicyFile::read(file)).collect()
}
