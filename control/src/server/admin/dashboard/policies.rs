//! The pages of policies and of the data planes that run them. Policies cannot be published here: the server has no
//! signing key.

use axum::http::StatusCode;
use axum::response::Response;
use keyswap_core::base::UnixTime;
use maud::{Markup, html};

use super::layout::{PageError, Place, page};
use super::list::{List, Pages, table};
use super::time;
use crate::registry::{self, Plane, PolicyStatus, Progress, Revision, SignerKeys, Signers};
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Segment;

/// The age in seconds of a data plane's last report after which it is shown as silent. A data plane asks every few
/// seconds.
const SILENT_AFTER: i64 = 120;

pub(super) async fn list(permit: Permit<op::ListPolicies>) -> Result<Response, PageError> {
    let policies = permit.policies().await?;
    let list = List {
        names: ("policy", "policies"),
        columns: &["Policy", "Revision", "Candidate", "Published (UTC)", "By"],
        rows: policies.iter().map(row).collect(),
        total: None,
        pages: Pages::none(),
        first_steps: Some(html! {
            p { "Make a key with " code { "keyswap policy keygen policy.key" } ", then publish the first revision with "
                code { "keyswap policy publish NAME policy.yaml --key policy.key" } "." }
        }),
        live: true,
    };
    let content = html! {
        p { "Data planes fetch these policies. To sign and publish a policy, run "
            code { "keyswap policy publish" } "." }
        (list.markup())
    };
    Ok(page(StatusCode::OK, Place::Policies, "Policies", &content))
}

pub(super) async fn show(
    permit: Permit<op::ShowPolicy>,
    Segment(name): Segment,
) -> Result<Response, PageError> {
    let PolicyStatus { revisions, planes, signers, proposal, proposed_signers } =
        permit.policy(&name).await?;
    let newest = revisions.first().map(|revision| revision.revision);
    let now = registry::now();
    let running = List {
        names: ("data plane", "data planes"),
        columns: &["Data plane", "Runs", "Seen (UTC)", "Problem"],
        rows: planes.iter().map(|plane| plane_row(plane, newest, now)).collect(),
        total: None,
        pages: Pages::none(),
        first_steps: None,
        live: true,
    };
    let content = html! {
        p { a href="/admin/policies" { "← All policies" } }
        (running.markup())
        h2 { "Revisions" }
        (signed_by(signers.as_ref()))
        @if let Some(proposal) = &proposal { (waiting(&format!("Revision {}", proposal.change.revision), proposal)) }
        @if let Some(proposal) = &proposed_signers { (waiting(&format!("Version {} of the keys", proposal.change.version), proposal)) }
        (table(&["Revision", "SHA-256", "Candidate", "Published (UTC)", "By"], &revision_rows(&revisions)))
    };
    Ok(page(StatusCode::OK, Place::Policies, &name, &content))
}

/// Returns a sentence about the keys that may sign.
fn signed_by(signers: Option<&Signers>) -> Markup {
    let keys = signers.and_then(|signers| SignerKeys::of(signers.keys.clone()).ok());
    html! {
        @match &keys {
            Some(keys) => p {
                @if keys.required() == 1 { "The registry accepts revisions that one of these keys has signed: " }
                @else { "A revision is in force once " (keys.required()) " of these keys have signed it: " }
                code .long { (keys.kids().join(", ")) }
            },
            None => p {
                "The registry knows no keys for this policy and accepts no revision. To register them, run "
                code { "keyswap policy trust" } "."
            },
        }
    }
}

/// Returns a sentence about a change that waits for signatures.
fn waiting<T>(what: &str, proposal: &Progress<T>) -> Markup {
    let missing = proposal.required.saturating_sub(proposal.signed_by.len());
    html! {
        p {
            (what) " is proposed, and " (missing) " of " (proposal.required) " signatures are missing. Signed by: "
            code .long { (proposal.signed_by.join(", ")) }
        }
    }
}

/// Returns the row of a policy, with its newest revision.
fn row(revision: &Revision) -> Markup {
    html! {
        tr {
            th scope="row" { a href={ "/admin/policies/" (revision.name) } { (revision.name) } }
            td data-label="Revision" { (revision.revision) }
            (published(revision))
        }
    }
}

fn revision_rows(revisions: &[Revision]) -> Vec<Markup> {
    let row = |revision: &Revision| {
        html! {
            tr {
                th scope="row" { (revision.revision) }
                td .long data-label="SHA-256" { code { (revision.sha256) } }
                (published(revision))
            }
        }
    };
    revisions.iter().map(row).collect()
}

/// Returns the last columns of both lists.
fn published(revision: &Revision) -> Markup {
    html! {
        td data-label="Candidate" { (candidate(revision)) }
        td data-label="Published" { (time::shown(revision.published_at)) }
        td data-label="By" { (revision.published_by) }
    }
}

fn candidate(revision: &Revision) -> String {
    revision.percent.map_or_else(|| "–".to_owned(), |percent| format!("decides for {percent} %"))
}

fn plane_row(plane: &Plane, newest: Option<i64>, now: UnixTime) -> Markup {
    let is_silent = now.0 - plane.seen_at.0 > SILENT_AFTER;
    let is_behind = plane.revision < newest;
    html! {
        tr {
            th scope="row" { (plane.plane) }
            td data-label="Runs" {
                @match plane.revision { Some(revision) => (revision), None => "none" }
                @if is_behind { " " span .badge.disabled { "behind" } }
            }
            td data-label="Seen" {
                (time::shown(plane.seen_at))
                @if is_silent { " " span .badge.disabled { "silent" } }
            }
            td .long data-label="Problem" { (problem(plane)) }
        }
    }
}

fn problem(plane: &Plane) -> String {
    let refused = plane.refused.map(|revision| format!("revision {revision} is refused"));
    let parts: Vec<&str> =
        [&refused, &plane.problem, &plane.detail].into_iter().flatten().map(String::as_str).collect();
    if parts.is_empty() { "–".to_owned() } else { parts.join(": ") }
}
