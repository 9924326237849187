//! `keyswap policy status`: the published policies, and the revision that each data plane runs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::keys::read_public;
use super::signatures::{unsigned, waiting};
use super::verified::Verified;
use crate::command::connection::operations::Operations;
use crate::command::connection::target::Target;
use crate::command::terminal::exit::{self, Exit};
use crate::command::terminal::output::{self, Format};
use crate::command::terminal::table::{NONE, Table};
use crate::registry::{Plane, PolicyStatus, Progress, Revision, SignerKeys, Signers};

/// Show the revisions of a policy and the data planes that run it
#[derive(Args)]
#[command(
    override_usage = "keyswap policy status [NAME] [OPTIONS]",
    after_help = exit::help(
        "  keyswap policy status --server https://keyswap.example.com\n  keyswap policy status prod --keys policy-keys.json"
    )
)]
pub(crate) struct Status {
    /// Name of the policy (default: list all policies)
    name: Option<String>,
    /// Public keys of the signers, a JWK Set, to verify the revisions with; fails if none of them has signed one
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// A revision as the registry tells it, and what its signature says.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    revision: Revision,
    #[serde(flatten)]
    signature: Option<Signature>,
}

/// The result of verifying a revision.
#[derive(Serialize)]
struct Signature {
    /// Set where a known key has signed the revision as the registry tells it.
    verified: bool,
    /// The `kid`s of the keys that signed the revision.
    signed_by: Vec<String>,
    expires_at: Option<String>,
}

/// The status of a policy, with verified revisions.
#[derive(Serialize)]
struct Shown {
    revisions: Vec<Listed>,
    planes: Vec<Plane>,
    signers: Option<Signers>,
    proposal: Option<Progress<Revision>>,
    proposed_signers: Option<Progress<Signers>>,
}

impl Status {
    pub(crate) fn run(self) -> anyhow::Result<Exit> {
        let keys = self.keys.as_deref().map(read_public).transpose()?;
        let required = keys.as_ref().map_or(1, SignerKeys::required);
        let registry = self.target.open()?;
        let verify = |revisions| list(&*registry, keys.as_ref(), revisions);
        let unsigned = if let Some(name) = &self.name {
            let PolicyStatus { revisions, planes, signers, proposal, proposed_signers } =
                registry.policy(name)?;
            let revisions = verify(revisions)?;
            let shown = Shown { revisions, planes, signers, proposal, proposed_signers };
            self.show(&shown)?;
            unsigned_of(&shown.revisions, required)
        } else {
            let policies = verify(registry.policies()?)?;
            self.list(&policies)?;
            unsigned_of(&policies, required)
        };
        if keys.is_none() {
            output::note(
                "the signatures were not verified: pass the public keys of the signers with `--keys`",
            );
        }
        ensure!(
            unsigned.is_empty(),
            "{}: pass the keys of all signers with `--keys`, or see if another party has written to the registry",
            unsigned.join("; ")
        );
        Ok(Exit::Ok)
    }

    fn list(&self, policies: &[Listed]) -> anyhow::Result<()> {
        match self.target.format {
            Format::Json => output::print_json(&json!({"items": policies})),
            Format::Human if policies.is_empty() => {
                output::note("no policies: `keyswap policy publish` creates one");
                Ok(())
            }
            Format::Human => output::print(&revisions(policies).to_text()),
        }
    }

    fn show(&self, policy: &Shown) -> anyhow::Result<()> {
        match self.target.format {
            Format::Json => output::print_json(policy),
            Format::Human => {
                let mut text = revisions(&policy.revisions).to_text();
                for line in policy.signatures() {
                    text.push('\n');
                    text.push_str(&line);
                }
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

impl Shown {
    /// Returns the number of signatures that a revision needs, and what waits for signatures, as the registry tells them.
    fn signatures(&self) -> Vec<String> {
        let keys = self.signers.as_ref().and_then(|signers| SignerKeys::of(signers.keys.clone()).ok());
        let Some(keys) = keys else { return Vec::new() };
        let mut lines = Vec::new();
        if keys.required() > 1 {
            lines.push(format!("{} of {} keys must sign", keys.required(), keys.kids().len()));
        }
        if let Some(proposal) = &self.proposal {
            lines.push(waiting(&format!("revision {}", proposal.change.revision), proposal, &keys));
        }
        if let Some(proposal) = &self.proposed_signers {
            lines.push(waiting(&format!("version {} of the keys", proposal.change.version), proposal, &keys));
        }
        lines
    }
}

/// Verifies revisions with the keys, if there are any.
fn list(
    registry: &dyn Operations,
    keys: Option<&SignerKeys>,
    revisions: Vec<Revision>,
) -> anyhow::Result<Vec<Listed>> {
    let listed = |revision: Revision| {
        let signature = match keys {
            Some(keys) => {
                let verified = Verified::fetch(registry, &revision.name, revision.revision, keys)?;
                Some(Signature::of(verified.filter(|verified| verified.is_as_told(&revision))))
            }
            None => None,
        };
        Ok(Listed { revision, signature })
    };
    revisions.into_iter().map(listed).collect()
}

/// Returns the words for the revisions that no known key has signed, for each name.
fn unsigned_of(listed: &[Listed], required: usize) -> Vec<String> {
    let is_unsigned = |it: &&Listed| it.signature.as_ref().is_some_and(|signature| !signature.verified);
    let mut by_name: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for Listed { revision, .. } in listed.iter().filter(is_unsigned) {
        by_name.entry(&revision.name).or_default().push(revision.revision);
    }
    by_name.into_iter().map(|(name, revisions)| unsigned(name, &revisions, required)).collect()
}

impl Signature {
    fn of(verified: Option<Verified>) -> Self {
        Self {
            verified: verified.is_some(),
            expires_at: verified.as_ref().and_then(|it| Some(it.expires_at?.to_string())),
            signed_by: verified.map(|it| it.signed_by).unwrap_or_default(),
        }
    }
}

fn revisions(listed: &[Listed]) -> Table {
    let mut table =
        Table::new(&["policy", "revision", "published", "by", "candidate", "sha256", "signed by", "expires"]);
    for Listed { revision, signature } in listed {
        let signed_by = match signature {
            None => "not verified".to_owned(),
            Some(signature) if !signature.verified => "NO KNOWN KEY".to_owned(),
            Some(signature) => {
                let short = |kid: &String| kid.chars().take(16).collect::<String>();
                signature.signed_by.iter().map(short).collect::<Vec<_>>().join(", ")
            }
        };
        table.add([
            revision.name.clone(),
            revision.revision.to_string(),
            revision.published_at.to_string(),
            revision.published_by.clone(),
            revision.percent.map_or_else(|| NONE.to_owned(), |percent| format!("{percent} %")),
            revision.sha256.chars().take(16).collect(),
            signed_by,
            signature.as_ref().and_then(|it| it.expires_at.clone()).unwrap_or_else(|| NONE.to_owned()),
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
