//! The audit log: who did what, the newest first.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde::Deserialize;

use super::layout::{Failure, Place, more, page};
use super::time;
use crate::registry::Listing;
use crate::serve::State;
use crate::serve::extract::Parameters;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    subject: String,
    after: Option<i64>,
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Failure> {
    let search = Some(wanted.subject.clone()).filter(|text| !text.is_empty());
    let listing = Listing { search, status: None, after: wanted.after, limit: None };
    let audit = state.registry().audit(&listing).await?;
    let query = serde_urlencoded::to_string([("subject", &wanted.subject)]).unwrap_or_default();
    let content = html! {
        form .filter method="get" action="/admin/audit" role="search" {
            label { "Subject" span .hint { "a digest or an address" }
                input type="search" name="subject" value=(wanted.subject); }
            button { "Show" }
        }
        section #live aria-label="Entries of the audit log" data-live {
            @if audit.items.is_empty() { p .empty { "There are no entries here." } } @else {
                div .table {
                    table {
                        thead { tr {
                            th scope="col" { "When (UTC)" } th scope="col" { "Who" } th scope="col" { "What" }
                            th scope="col" { "Subject" } th scope="col" { "Detail" }
                        } }
                        tbody {
                            @for entry in &audit.items {
                                tr {
                                    th scope="row" { (time::shown(entry.at)) }
                                    td data-label="Who" { (entry.actor) }
                                    td data-label="What" { (entry.action) }
                                    td .long data-label="Subject" { code { (entry.subject) } }
                                    td .long data-label="Detail" { code { (entry.detail) } }
                                }
                            }
                        }
                    }
                }
                (more(&format!("/admin/audit?{query}&"), audit.next))
            }
        }
    };
    Ok(page(StatusCode::OK, Place::Audit, "Audit log", &content))
}
