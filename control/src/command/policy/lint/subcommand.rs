//! The arguments of `policy lint`, the list of all kinds of findings, and the report.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use keyswap_core::policy::{Configuration, Lint};
use serde_json::json;

use super::envoy;
use super::kinds::EnvoyLint;
use super::warning::Warning;
use crate::command::policy::report::{count, report_invalid};
use crate::command::policy::time::time;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::{self, Format, visible};

/// Warn about valid but risky settings
///
/// `policy check` reports errors; `policy lint` reports settings that are valid and may be intended. Each kind of
/// finding has a stable code. `--envoy` also checks how an Envoy bootstrap or a Kubernetes manifest (Istio's
/// WasmPlugin, Envoy Gateway's EnvoyExtensionPolicy) runs the filter.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy lint policy.yaml\n  keyswap policy lint policy.yaml --envoy bootstrap.yaml --deny-warnings\n  \
     keyswap policy lint --list"
))]
pub(in crate::command) struct LintPolicy {
    /// Policy to lint, in YAML or JSON; `-` reads standard input
    #[arg(required_unless_present = "list", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Envoy configuration or Kubernetes manifest that runs the filter with the policy; with those that belong to it
    #[arg(long, value_name = "FILE", num_args = 1..)]
    envoy: Vec<PathBuf>,
    /// Exit with 2 if there is a finding
    #[arg(long)]
    deny_warnings: bool,
    /// Code of a kind of finding to ignore; repeatable
    #[arg(long, value_name = "CODE")]
    allow: Vec<String>,
    /// Time to judge expiries as of, such as `2027-06-30T00:00:00Z` (default: now)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print all kinds of findings and their remedies as a Markdown table
    #[arg(long, exclusive = true)]
    list: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Returns every kind of finding: code, description, remedy.
fn kinds() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let of_policy = Lint::ALL.into_iter().map(|it| (it.code(), it.about(), it.remedy()));
    of_policy.chain(EnvoyLint::ALL.into_iter().map(|it| (it.code(), it.about(), it.remedy())))
}

impl LintPolicy {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        let Some(path) = &self.policy else { return list() };
        if let Some(unknown) =
            self.allow.iter().find(|code| kinds().all(|(known, ..)| known != code.as_str()))
        {
            bail!("unknown kind of finding `{}`: `--list` prints all kinds", visible(unknown));
        }
        if self.envoy.iter().chain([path]).filter(|path| input::is_stdin(path)).count() > 1 {
            bail!("only one file can be `-`: pass a path for the others");
        }
        let now = time(self.at.as_deref())?.unix();
        let file = PolicyFile::read(path)?;
        let read = file.json().and_then(|json| Ok((Configuration::from_json(&json)?, json)));
        let (configuration, json) = match read {
            Ok(read) => read,
            Err(errors) => return report_invalid(&file.name, &errors, self.format),
        };
        let mut warnings: Vec<Warning> = Vec::new();
        warnings.extend(configuration.lint(now).into_iter().map(|it| Warning::of(&file.name, it)));
        if !self.envoy.is_empty() {
            warnings.extend(envoy::lint(&self.envoy, &json)?);
        }
        warnings.retain(|warning| !self.allow.iter().any(|code| code == warning.code));
        self.report(&file.name, &warnings)
    }

    fn report(&self, name: &str, warnings: &[Warning]) -> anyhow::Result<Exit> {
        match self.format {
            Format::Human => {
                let lines: Vec<String> = warnings.iter().map(Warning::line).collect();
                let total = if warnings.is_empty() {
                    "no findings".to_owned()
                } else {
                    count(warnings.len(), "finding")
                };
                if !lines.is_empty() {
                    output::print(&lines.join("\n"))?;
                }
                output::note(&format!("{name}: {total}"));
            }
            Format::Json => output::print_json(&json!({"valid": true, "findings": warnings}))?,
        }
        Ok(if self.deny_warnings && !warnings.is_empty() { Exit::Differs } else { Exit::Ok })
    }
}

fn list() -> anyhow::Result<Exit> {
    let mut table = "| code | finding | remedy |\n|---|---|---|".to_owned();
    for (code, about, remedy) in kinds() {
        table.extend(["\n| `", code, "` | ", about, " | ", remedy, " |"]);
    }
    output::print(&table)?;
    Ok(Exit::Ok)
}
