//! The first page: what needs attention, and the newest changes, as far as the person may see them.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{PageError, Place, may, page};
use super::list::table;
use super::{audit, tokens};
use crate::registry::{Attention, AuditQuery, Listing, Result, Status};
use crate::server::admin::gate::{Operation, Permit, Reader, op};

/// The changes on the page.
const SHOWN: u32 = 10;

pub(super) async fn show(permit: Permit<op::ListTokens>) -> std::result::Result<Response, PageError> {
    let all = count(&permit, &Listing::default()).await?;
    let content = html! {
        @if all == 0 && may(Operation::CreateToken) { section .card { h2 { "First steps" } (tokens::first_steps()) } }
        (tiles(&permit).await?)
        (changes(&permit).await?)
    };
    Ok(page(StatusCode::OK, Place::Overview, "Overview", &content))
}

async fn tiles(permit: &Permit<op::ListTokens>) -> Result<Markup> {
    let active = count(permit, &Listing { status: Some(Status::Active), ..Listing::default() }).await?;
    let mut attention = Vec::new();
    for one in Attention::ALL {
        let listing = Listing { attention: Some(one), ..Listing::default() };
        attention.push((one, count(permit, &listing).await?));
    }
    let users = match permit.other::<op::ListUsers>() {
        Some(permit) => Some(permit.users(&Listing { limit: Some(1), ..Listing::default() }).await?.total),
        None => None,
    };
    let policies = match permit.other::<op::ListPolicies>() {
        Some(permit) => Some(permit.policies().await?.len()),
        None => None,
    };
    let credentials = match permit.other::<op::ListCredentials>() {
        Some(permit) => Some(permit.credentials().await?.len()),
        None => None,
    };
    Ok(html! {
        dl .tiles {
            (tile("Active tokens", "/admin/tokens?status=active", active, false))
            @for (one, number) in attention {
                (tile(tokens::words(one), &format!("/admin/tokens?attention={}", one.name()), number, number > 0))
            }
            @if let Some(users) = users { (tile("Users", "/admin/users", users, false)) }
            @if let Some(policies) = policies { (tile("Policies", "/admin/policies", policies, false)) }
            @if let Some(credentials) = credentials {
                (tile("Credentials of data planes", "/admin/credentials", credentials, false))
            }
        }
    })
}

/// Returns the newest entries of the audit log, nothing for a person that may not read it.
async fn changes(permit: &Permit<op::ListTokens>) -> Result<Markup> {
    let Some(permit) = permit.other::<op::ReadAudit>() else { return Ok(Markup::default()) };
    let entries = permit.audit_entries(&AuditQuery::default(), SHOWN).await?;
    let rows: Vec<Markup> = entries.iter().map(audit::row).collect();
    Ok(html! {
        h2 { "Newest changes" }
        (table(&audit::COLUMNS, &rows))
        p .more { a href="/admin/audit" { "All entries of the audit log" } }
    })
}

async fn count(reader: &Reader, listing: &Listing) -> Result<i64> {
    Ok(reader.tokens(&Listing { limit: Some(1), ..listing.clone() }).await?.total)
}

fn tile(name: &str, address: &str, number: impl std::fmt::Display, attention: bool) -> Markup {
    html! {
        div class=[attention.then_some("attention")] {
            dt { a href=(address) { (name) } }
            dd { (number.to_string()) }
        }
    }
}
