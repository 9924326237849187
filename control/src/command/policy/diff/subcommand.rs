//! The arguments of `policy diff`, and the choice between its two comparisons.

use std::path::PathBuf;

use anyhow::{bail, ensure};
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

/// Show the differences between two policies
///
/// Without `--requests`, lists the changed fields and marks changes that permit more or less. Differences of form only,
/// such as another order of fields, are not listed.
///
/// With `--requests`, replays an access log and lists the requests that the policies decide differently. The log is the
/// one that envoy/bootstrap.yaml writes, recorded under the old policy. It holds no credentials: callers are known by
/// their token's id, and each request is judged in every way in which it can have been sent. Rate limits are not
/// applied, and upstream credentials count as available. Requests that cannot be judged are counted; a file of another
/// kind is an error. Where the old policy meters, models are judged by their names in the prices, costs are summed, and the
/// budgets of the new policy are charged in the order of the times.
///
/// Exits with 2 if there is a difference; with `--requests`, if a recorded request is decided differently.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap policy diff old.yaml new.yaml\n  keyswap policy diff old.yaml new.yaml --requests access.log\n  \
     kubectl logs deploy/gateway | keyswap policy diff old.yaml new.yaml --requests -"
))]
pub(in crate::command) struct Diff {
    /// Policy in force, in YAML or JSON; `-` reads standard input
    old: PathBuf,
    /// Policy to compare with it
    new: PathBuf,
    /// Access log of Envoy to replay, one JSON object a line; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Diff {
    pub(in crate::command) fn run(self) -> anyhow::Result<Exit> {
        let files = [Some(&self.old), Some(&self.new), self.requests.as_ref()];
        if files.into_iter().flatten().filter(|path| input::is_stdin(path)).count() > 1 {
            bail!("only one file can be `-`: pass a path for the others");
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
                    ensure!(
                        !report.is_of_another_log(),
                        "no line of {} is a request in Keyswap's access log: pass the log that Envoy writes with the \
                         configuration of `keyswap render`",
                        input::name(log)
                    );
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
            Format::Human if changes.is_empty() => output::print("no changes")?,
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
    ReplayPolicy::new(policy, &Placeholders, &Services::new(Box::new(PureRust), Capabilities::MODULE))
}
