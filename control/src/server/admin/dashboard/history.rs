//! The newest changes of a token or a user, each with a button that undoes it.

use maud::{Markup, html};

use super::audit::words;
use super::layout::{is_self_service, may};
use super::list::table;
use super::time;
use crate::registry::AuditEntry;
use crate::server::admin::gate::Operation;

/// The changes on a page.
pub(super) const SHOWN: u32 = 8;

/// Returns the newest changes of a subject of the audit log. `page` is the path of its page, `change` the operation of an
/// undo. A person undoes no change of rights.
pub(super) fn history(entries: &[AuditEntry], subject: &str, page: &str, change: Operation) -> Markup {
    let is_offered = may(change) && !is_self_service();
    if entries.is_empty() {
        return Markup::default();
    }
    let title = if may(Operation::ReadAudit) { "History" } else { "Your changes" };
    let rows: Vec<Markup> = entries.iter().map(|entry| row(entry, page, is_offered)).collect();
    let all = serde_urlencoded::to_string([("subject", subject)]).unwrap_or_default();
    html! {
        section .history aria-label=(title) {
            h2 { (title) }
            (table(&["Time (UTC)", "Actor", "Action", "Detail", "Undo"], &rows))
            @if may(Operation::ReadAudit) {
                p .more { a href={ "/admin/audit?" (all) } { "All entries of the audit log" } }
            }
        }
    }
}

fn row(entry: &AuditEntry, page: &str, is_offered: bool) -> Markup {
    html! {
        tr {
            th scope="row" { (time::shown(entry.at)) }
            td data-label="Actor" { (entry.actor.as_deref().unwrap_or("unknown")) }
            td data-label="Action" { (entry.action) }
            td .long data-label="Detail" { (words(&entry.detail)) }
            td data-label="Undo" {
                @if is_offered && entry.is_undoable() {
                    form method="post" action={ (page) "/undo" } {
                        button name="entry" value=(entry.id) aria-label={ "Undo " (entry.action) ", entry " (entry.id) } { "Undo" }
                    }
                } @else { "–" }
            }
        }
    }
}
