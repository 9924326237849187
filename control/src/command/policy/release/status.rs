//! `keyswap policy status`: the published policies, and the revision that each data plane runs.

use clap::Args;
use serde_json::json;

use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::{NONE, Table};
use crate::registry::{Plane, PolicyStatus, Revision};

/// Show the revisions of a policy and the data planes that run it
#[derive(Args)]
#[command(
    override_usage = "keyswap policy status [NAME] [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy status --server https://keyswap.example.com\n  keyswap policy status prod --format json"
    )
)]
pub(crate) struct Status {
    /// Name of the policy (default: list all policies)
    name: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Status {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let registry = self.target.open()?;
        match &self.name {
            Some(name) => self.show(&registry.policy(name)?)?,
            None => self.list(&registry.policies()?)?,
        }
        Ok(Exit::Ok)
    }

    fn list(&self, policies: &[Revision]) -> anyhow::Result<()> {
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": policies})),
            Format::Human if policies.is_empty() => {
                output::note("no policies: `keyswap policy publish` creates one");
                Ok(())
            }
            Format::Human => output::print(&revisions(policies).to_text()),
        }
    }

    fn show(&self, policy: &PolicyStatus) -> anyhow::Result<()> {
        match self.target.format {
            Format::Json => output::print_json(policy),
            Format::Human => {
                let text = revisions(&policy.revisions).to_text();
                if policy.planes.is_empty() {
                    output::print(&text)?;
                    output::note("no data plane has fetched it");
                    return Ok(());
                }
                output::print(&format!("{text}\n\n{}", planes(&policy.planes).to_text()))
            }
        }
    }
}

fn revisions(revisions: &[Revision]) -> Table {
    let mut table = Table::new(&["policy", "revision", "published", "by", "candidate", "sha256"]);
    for revision in revisions {
        table.add([
            revision.name.clone(),
            revision.revision.to_string(),
            revision.published_at.to_string(),
            revision.published_by.clone(),
            revision.percent.map_or_else(|| NONE.to_owned(), |percent| format!("{percent} %")),
            revision.sha256.chars().take(16).collect(),
        ]);
    }
    table
}

fn planes(planes: &[Plane]) -> Table {
    let mut table = Table::new(&["data plane", "runs", "seen", "problem"]);
    for plane in planes {
        let refused = plane.refused.map(|revision| format!("refuses {revision}"));
        let parts = refused.iter().chain(&plane.problem).chain(&plane.detail);
        let problem = parts.cloned().collect::<Vec<_>>().join(": ");
        table.add([
            plane.plane.clone(),
            plane.revision.map_or_else(|| NONE.to_owned(), |revision| revision.to_string()),
            plane.seen_at.to_string(),
            if problem.is_empty() { NONE.to_owned() } else { problem },
        ]);
    }
    table
}
