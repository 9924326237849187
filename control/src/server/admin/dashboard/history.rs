//! The newest changes of a token or a user, each with a button that undoes it.

use maud::{Markup, html};

use super::audit::words;
use super::list::table;
use super::time;
use crate::registry::{AuditEntry, AuditQuery, RegistryError};
use crate::server::state::State;

/// The changes on a page.
const SHOWN: u32 = 8;

/// Returns the newest changes of a subject of the audit log. `page` is the path of its page.
pub(super) async fn history(state: &State, subject: &str, page: &str) -> Result<Markup, RegistryError> {
    let query = AuditQuery { subject: Some(subject.to_owned()), ..AuditQuery::default() };
    let entries = state.registry().audit_entries(&query, SHOWN).await?;
    let rows: Vec<Markup> = entries.iter().map(|entry| row(entry, page)).collect();
    let all = serde_urlencoded::to_string([("subject", subject)]).unwrap_or_default();
    Ok(html! {
        section .history aria-label="History" {
            h2 { "History" }
            (table(&["Time (UTC)", "Actor", "Action", "Detail", "Undo"], &rows))
            p .more { a href={ "/admin/audit?" (all) } { "All entries of the audit log" } }
        }
    })
}

fn row(entry: &AuditEntry, page: &str) -> Markup {
    html! {
        tr {
            th scope="row" { (time::shown(entry.at)) }
            td data-label="Actor" { (entry.actor.as_deref().unwrap_or("unknown")) }
            td data-label="Action" { (entry.action) }
            td .long data-label="Detail" { (words(&entry.detail)) }
            td data-label="Undo" {
                @if entry.is_undoable() {
                    form method="post" action={ (page) "/undo" } {
                        button name="entry" value=(entry.id) aria-label={ "Undo " (entry.action) ", entry " (entry.id) } { "Undo" }
                    }
                } @else { "–" }
            }
        }
    }
}
