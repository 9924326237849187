//! The subcommand, and the two forms of its output.

use std::path::PathBuf;

use clap::Args;
use keyswap_core::host::Capabilities;
use keyswap_core::policy::PolicyErrors;
use serde_json::{Value, json};

use super::changes::{CHANGES, Change, FIRST};
use super::release::Release;
use crate::command::policy::{error_lines, judge};
use crate::command::policy_file::PolicyFile;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format, visible};

/// The formats of documents, each with what it is for.
const FORMATS: [(&str, &str); 3] = [
    ("keyswap/v1", "a policy"),
    ("keyswap-rollout/v1", "a policy, and a candidate beside it"),
    ("keyswap-bundle/v1", "the place of a signed policy"),
];

/// Print the release and the formats that it reads, or check a policy of an older release
///
/// With `--check`, tells whether this release reads a policy, and which changes since an older release concern it: the
/// place, the difference and the remedy. The file is only read. A policy can be valid and mean something else than before,
/// which `policy check` cannot tell.
#[derive(Args)]
#[command(after_help = exit::help(
    "  keyswap version\n  keyswap version --check policy.yaml --from 0.1.0"
))]
pub(crate) struct Version {
    /// Policy to check, in YAML or JSON; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Release that the policy was written for [default: the first]
    #[arg(long, value_name = "RELEASE", requires = "check")]
    from: Option<Release>,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A change, with the places in a document that it concerns.
type Concern = (&'static Change, Vec<String>);

impl Version {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let Some(path) = &self.check else { return self.print() };
        let from = self.from.unwrap_or(FIRST);
        let this: Release = env!("CARGO_PKG_VERSION").parse().map_err(anyhow::Error::msg)?;
        anyhow::ensure!(
            from <= this,
            "this is release {this}, which knows nothing of {from}: take a newer one"
        );
        let file = PolicyFile::read(path)?;
        let errors = file.json().and_then(|json| judge_anywhere(&json)).err();
        // A document that is neither JSON nor YAML has that one error, and no change concerns it.
        let document = file.document().unwrap_or_default();
        let concerns = concerns(&document, from);
        match self.format {
            Format::Human => print_lines(&file.name, from, errors.as_ref(), &concerns)?,
            Format::Json => output::print_json(&as_json(from, errors.as_ref(), &concerns))?,
        }
        Ok(match (errors, concerns.is_empty()) {
            (Some(_), _) => Exit::Invalid,
            (None, true) => Exit::Ok,
            (None, false) => Exit::Differs,
        })
    }

    fn print(&self) -> anyhow::Result<Exit> {
        const RELEASE: &str = env!("CARGO_PKG_VERSION");
        match self.format {
            Format::Human => {
                let formats: Vec<String> =
                    FORMATS.iter().map(|(format, meaning)| format!("  {format:<20}{meaning}")).collect();
                output::print(&format!("keyswap {RELEASE}\n\nReads:\n{}", formats.join("\n")))?;
            }
            Format::Json => {
                let formats: Vec<&str> = FORMATS.iter().map(|(format, _)| *format).collect();
                output::print_json(&json!({"version": RELEASE, "formats": formats}))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// Judges a document for the host that can do the most: which host it runs in is not the question here.
fn judge_anywhere(json: &[u8]) -> Result<(), PolicyErrors> {
    judge(json, Capabilities::MODULE).map(drop)
}

/// Returns the changes since a release that concern a document.
fn concerns(document: &Value, from: Release) -> Vec<Concern> {
    let policies = policies(document);
    let of = |change: &'static Change| {
        let places = policies.iter().flat_map(|(before, policy)| {
            (change.places)(policy).into_iter().map(move |place| format!("{before}{place}"))
        });
        (change, places.collect::<Vec<String>>())
    };
    let newer = CHANGES.iter().filter(|change| change.since > from);
    newer.map(of).filter(|(_, places)| !places.is_empty()).collect()
}

/// Returns the policies in a document, each with the beginning of its places.
fn policies(document: &Value) -> Vec<(String, &Value)> {
    let inner: &[&str] = match document["version"].as_str() {
        Some("keyswap-rollout/v1") => &["stable", "candidate"],
        Some("keyswap-bundle/v1") => &["initial"],
        _ => return vec![(String::new(), document)],
    };
    let members = inner.iter().filter_map(|name| Some((name, document.get(name)?)));
    members
        .flat_map(|(name, member)| {
            policies(member).into_iter().map(move |(before, policy)| (format!("{name}.{before}"), policy))
        })
        .collect()
}

fn print_lines(
    name: &str,
    from: Release,
    errors: Option<&PolicyErrors>,
    concerns: &[Concern],
) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    if let Some(errors) = errors {
        lines.push(error_lines(errors));
    }
    for (change, places) in concerns {
        let Change { since, code, difference, remedy, .. } = change;
        lines.push(format!("{since} {code}: {difference}\n  remedy: {remedy}"));
        lines.extend(places.iter().map(|place| format!("  at `{}`", visible(place))));
    }
    let release = env!("CARGO_PKG_VERSION");
    lines.push(match (errors, concerns) {
        (Some(_), _) => format!("{name}: this release, {release}, does not read it as it is"),
        (None, []) => format!("{name}: nothing that changed from {from} to {release} concerns it"),
        (None, concerns) => {
            format!("{name}: changes from {from} to {release} that concern it: {}", concerns.len())
        }
    });
    output::print(&lines.join("\n"))
}

fn as_json(from: Release, errors: Option<&PolicyErrors>, concerns: &[Concern]) -> Value {
    let errors: Vec<Value> = errors
        .into_iter()
        .flat_map(|errors| &errors.0)
        .map(|error| json!({"path": error.path, "message": error.message}))
        .collect();
    let changes: Vec<Value> = concerns
        .iter()
        .map(|(change, places)| {
            json!({
                "since": change.since.to_string(), "code": change.code, "difference": change.difference,
                "remedy": change.remedy, "places": places,
            })
        })
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"), "from": from.to_string(), "valid": errors.is_empty(),
        "errors": errors, "changes": changes,
    })
}
