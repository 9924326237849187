//! The first page: what needs attention, and the newest changes.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{PageError, Place, page};
use super::list::table;
use super::{audit, tokens};
use crate::registry::{Attention, AuditQuery, Listing, RegistryError, Status};
use crate::server::state::State;

/// The changes on the page.
const SHOWN: u32 = 10;

pub(super) async fn show(Extract(state): Extract<State>) -> Result<Response, PageError> {
    let registry = state.registry();
    let all = count(&state, &Listing::default()).await?;
    let active = count(&state, &Listing { status: Some(Status::Active), ..Listing::default() }).await?;
    let users = registry.users(&Listing { limit: Some(1), ..Listing::default() }).await?.total;
    let credentials = registry.credentials().await?.len();
    let policies = registry.policies().await?.len();
    let mut attention = Vec::new();
    for one in Attention::ALL {
        let listing = Listing { attention: Some(one), ..Listing::default() };
        attention.push((one, count(&state, &listing).await?));
    }
    let entries = registry.audit_entries(&AuditQuery::default(), SHOWN).await?;
    let rows: Vec<Markup> = entries.iter().map(audit::row).collect();
    let content = html! {
        @if all == 0 { section .card { h2 { "First steps" } (tokens::first_steps()) } }
        dl .tiles {
            (tile("Active tokens", "/admin/tokens?status=active", active, false))
            @for (one, number) in attention {
                (tile(tokens::words(one), &format!("/admin/tokens?attention={}", one.name()), number, number > 0))
            }
            (tile("Users", "/admin/users", users, false))
            (tile("Policies", "/admin/policies", policies, false))
            (tile("Credentials of data planes", "/admin/credentials", credentials, false))
        }
        h2 { "Newest changes" }
        (table(&audit::COLUMNS, &rows))
        p .more { a href="/admin/audit" { "All entries of the audit log" } }
    };
    Ok(page(StatusCode::OK, Place::Overview, "Overview", &content))
}

async fn count(state: &State, listing: &Listing) -> Result<i64, RegistryError> {
    Ok(state.registry().tokens(&Listing { limit: Some(1), ..listing.clone() }).await?.total)
}

fn tile(name: &str, address: &str, number: impl std::fmt::Display, attention: bool) -> Markup {
    html! {
        div class=[attention.then_some("attention")] {
            dt { a href=(address) { (name) } }
            dd { (number.to_string()) }
        }
    }
}
