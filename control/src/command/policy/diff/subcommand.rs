//! The arguments, and which of the two comparisons they ask for.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use keyswap_cases::Placeholders;
use keyswap_core::host::Capabilities;
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::ReplayPolicy;
use keyswap_core::policy::{Policy, PolicyErrors};
use keyswap_core::services::Services;

use super::{requests, structure};
use crate::command::policy::report::report_invalid;
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::input;
use crate::command::terminal::output::{self, Format};

/// Tell what a new policy changes
///
/// Without `--requests`: who may call what from now on, and how, in words. What only looks different is no change.
///
/// With `--requests`: which requests of an access log the new policy decides otherwise. The log is the one that
/// envoy/bootstrap.yaml writes while the old policy is in use. It holds no credential, so that a caller is known by the
/// token's id, and a request is judged in every way in which it may have been asked. Budgets are left out, and real
/// credentials count as there. What cannot be judged is counted.
///
/// The exit code is 2 where something changes: with `--requests`, a recorded request.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy diff old.yaml new.yaml\n  keyswap policy diff old.yaml new.yaml --requests access.log\n  \
     kubectl logs deploy/gateway | keyswap policy diff old.yaml new.yaml --requests -"
))]
pub(in crate::command) struct Diff {
    /// The policy that is in use, in YAML or JSON; `-` is standard input
    old: PathBuf,
    /// The policy that is to come
    new: PathBuf,
    /// An access log of Envoy, one JSON object a line; `-` is standard input
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Diff {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        let files = [Some(&self.old), Some(&self.new), self.requests.as_ref()];
        if files.into_iter().flatten().filter(|path| input::is_stdin(path)).count() > 1 {
            bail!("only one file can be `-`: name the others");
        }
        let (old, new) = (PolicyFile::read(&self.old)?, PolicyFile::read(&self.new)?);
        let (before, after) = (old.policy(), new.policy());
        let (before, after) = match (before, after) {
            (Ok(before), Ok(after)) => (before, after),
            (before, after) => return self.report_invalid([(&old, before.err()), (&new, after.err())]),
        };
        match &self.requests {
            None => self.compare(&before, &after),
            Some(log) => match (compile(before), compile(after)) {
                (Ok(before), Ok(after)) => {
                    let report = requests::replay(&before, &after, log)?;
                    match self.format {
                        Format::Human => output::print(report.to_string().trim_end())?,
                        Format::Json => output::print_json(&report)?,
                    }
                    Ok(if report.changes() { Exit::Differs } else { Exit::Ok })
                }
                (before, after) => self.report_invalid([(&old, before.err()), (&new, after.err())]),
            },
        }
    }

    fn compare(&self, before: &Policy, after: &Policy) -> anyhow::Result<Exit> {
        let changes = structure::compare(&before.outline(), &after.outline());
        match self.format {
            Format::Human if changes.is_empty() => output::print("no change")?,
            Format::Human => output::print(&structure::in_words(&changes))?,
            Format::Json => output::print_json(&serde_json::json!({"changes": changes}))?,
        }
        Ok(if changes.is_empty() { Exit::Ok } else { Exit::Differs })
    }

    /// Writes the errors of both files, each under its name.
    fn report_invalid(&self, files: [(&PolicyFile, Option<PolicyErrors>); 2]) -> anyhow::Result<Exit> {
        for (file, errors) in files {
            if let Some(errors) = errors {
                report_invalid(&file.name, &errors, self.format)?;
                if self.format == Format::Json {
                    break;
                }
            }
        }
        Ok(Exit::Invalid)
    }
}

fn compile(policy: Policy) -> Result<ReplayPolicy, PolicyErrors> {
    ReplayPolicy::new(policy, &Placeholders, &Services::new(Box::new(PureRust), Capabilities::ENVOY))
}
