//! What became of a request, as far as cases can tell of it.

use std::collections::BTreeMap;

use keyswap_core::judge::{Check, Decision, Rewrite, Verdict};
use keyswap_core::request::RequestHead;

/// What became of a request.
pub(super) struct Found {
    pub(super) verdict: &'static str,
    pub(super) reason: &'static str,
    pub(super) provider: String,
    pub(super) principal: Option<String>,
    /// The names of the credentials that it carries, the provider's first.
    pub(super) credentials: Vec<String>,
    pub(super) outcome: Outcome,
    /// The checks that were made, in words, and what was asked for in vain.
    pub(super) checks: Vec<String>,
}

pub(super) enum Outcome {
    /// As the upstream sees it, without what belongs to the connection.
    Forwarded {
        method: String,
        authority: String,
        target: String,
        headers: BTreeMap<String, String>,
    },
    Replied {
        status: u16,
        headers: BTreeMap<String, String>,
        body: String,
    },
    /// The case itself could not be carried out.
    Failed(String),
}

impl Found {
    pub(super) fn of(decision: &Decision<'_>, head: &RequestHead<'_>, notes: Vec<String>) -> Self {
        let credentials = decision.facts.checks.iter().filter_map(|check| match check {
            Check::HasCredential(name) => Some((*name).to_owned()),
            Check::HostHasCredential => Some("host".to_owned()),
            _ => None,
        });
        Self {
            verdict: decision.verdict_name(),
            reason: decision.reason_code(),
            provider: decision.facts.provider.to_owned(),
            principal: decision.facts.principal.as_ref().map(|it| it.label().to_owned()),
            credentials: credentials.collect(),
            outcome: Outcome::of(decision, head),
            checks: decision
                .facts
                .checks
                .iter()
                .map(|check| format!("{}: {check}", check.stage().name()))
                .chain(notes)
                .collect(),
        }
    }

    pub(super) fn failed(error: String) -> Self {
        Self {
            verdict: "none",
            reason: "none",
            provider: String::new(),
            principal: None,
            credentials: Vec::new(),
            outcome: Outcome::Failed(error),
            checks: Vec::new(),
        }
    }
}

impl Outcome {
    fn of(decision: &Decision<'_>, head: &RequestHead<'_>) -> Self {
        match &decision.verdict {
            Verdict::Forward(rewrite) => Self::Forwarded {
                method: plain(head.method),
                authority: rewrite.authority.to_owned(),
                target: plain(&rewrite.path),
                headers: forwarded_headers(rewrite, head),
            },
            // Only a rollout lets a request pass undecided, and this is an engine.
            Verdict::Pass(_) => Self::Failed("nothing was decided".to_owned()),
            Verdict::Reply(_, reply) | Verdict::Answer(reply) => Self::Replied {
                status: reply.status,
                headers: reply
                    .headers
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_string()))
                    .collect(),
                body: reply.body.clone(),
            },
        }
    }
}

fn forwarded_headers(rewrite: &Rewrite<'_>, head: &RequestHead<'_>) -> BTreeMap<String, String> {
    let kept = head.headers.iter().filter(|header| !rewrite.remove.contains(&header.name));
    let kept = kept.map(|header| (plain(header.name).to_ascii_lowercase(), plain(header.value)));
    let set = rewrite.set.iter().map(|(name, value)| ((*name).to_owned(), plain(value)));
    let mut headers: BTreeMap<String, String> = kept.chain(set).collect();
    headers.retain(|name, _| !is_of_connection(name));
    headers
}

fn is_of_connection(name: &str) -> bool {
    const NAMES: [&str; 6] =
        ["host", "connection", "content-length", "transfer-encoding", "upgrade", "x-request-id"];
    NAMES.contains(&name)
}

pub(super) fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
