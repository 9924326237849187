//! The page with the list of tokens and the form for a new token.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};

use super::change::form_page;
use super::fields::Fields;
use super::layout::{PageError, Place, alert, badge, may, page, toggle_for};
use super::list::{List, Wanted, filter};
use super::{provider, rate_limit, shown_once, team, time};
use crate::registry::{Created, Listing, NewToken, SecretText, Source, Status, Token};
use crate::server::admin::gate::{AdminState, Operation, Permit, Reader, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

const COLUMNS: [&str; 9] =
    ["Label", "Owner", "Team", "Ends in", "Providers", "Status", "Expires", "Last used", "Actions"];

pub(super) async fn list(
    permit: Permit<op::ListTokens>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, PageError> {
    answer(&permit, StatusCode::OK, &wanted, None, &Fields::default()).await
}

pub(super) async fn create(
    permit: Permit<op::CreateToken>,
    Extract(state): Extract<AdminState>,
    fields: Fields,
) -> Result<Response, PageError> {
    let create = async || {
        let token = fields.some("token").map(SecretText::new);
        let new = NewToken {
            label: fields.text("label").to_owned(),
            owner: fields.some("owner"),
            team: fields.some("team"),
            providers: provider::providers(&fields),
            models: fields.list("models"),
            expires_at: fields.some("expires_at").map(|text| time::typed(&text)),
            rate_limit: fields.rate_limit()?,
        };
        permit.create_token(token.map_or(Source::Mint, Source::Custom), new).await
    };
    let done = |created: Created| shown_once::answer(&state, StatusCode::CREATED, "Token created", &created);
    // The form keeps the values of the failed attempt.
    form_page(create().await, done, async |problem: Problem| {
        answer(&permit, problem.status(), &Wanted::default(), Some(problem.detail()), &fields).await
    })
    .await
}

async fn answer(
    reader: &Reader,
    status: StatusCode,
    wanted: &Wanted,
    message: Option<&str>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let only = wanted.status();
    let listing = Listing { status: only, ..wanted.listing() };
    let tokens = reader.tokens(&listing).await?;
    let statuses = html! {
        label { "Status"
            select name="status" {
                option value="" { "All" }
                @for status in [Status::Active, Status::Disabled] {
                    option value=(status.name()) selected[only == Some(status)] { (status.name()) }
                }
            }
        }
    };
    let list = List {
        names: ("token", "tokens"),
        columns: &COLUMNS,
        rows: tokens.items.iter().map(row).collect(),
        total: Some(tokens.total),
        address: "/admin",
        query: &[("search", &wanted.search), ("status", &wanted.status)],
        next: tokens.next,
        live: status == StatusCode::OK,
    };
    let content = html! {
        (alert(message))
        @if may(Operation::CreateToken) {
            details .card open[message.is_some()] {
                summary { "New token" }
                (new_form(fields))
            }
        }
        (filter("/admin", &wanted.search, &statuses))
        (list.markup())
    };
    Ok(page(status, Place::Tokens, "Tokens", &content))
}

fn new_form(fields: &Fields) -> Markup {
    html! {
        form .grid method="post" action="/admin/tokens" {
            label { "Label" input name="label" autocomplete="off" maxlength="64" required value=(fields.text("label")); }
            label { "Owner" span .hint { "an email address" }
                input type="email" name="owner" autocomplete="off" value=(fields.text("owner")); }
            (team::input(fields.text("team")))
            (provider::inputs(&provider::providers(fields), &fields.list("models")))
            label { "Expires" span .hint { "in UTC; empty: never" }
                input type="datetime-local" name="expires_at" value=(fields.text("expires_at")); }
            (rate_limit::inputs(rate_limit::NAMES.map(|name| fields.text(name))))
            label { "Custom token" span .hint { "empty: generate one" }
                input type="password" name="token" autocomplete="off"; }
            div .actions { button .primary { "Create token" } }
        }
    }
}

fn row(token: &Token) -> Markup {
    let word = word(token);
    let address = format!("/admin/tokens/{}", token.digest.to_hex());
    html! {
        tr class=[(word == "expired").then_some("over")] {
            th scope="row" { a href=(address) { (token.label) } }
            td data-label="Owner" { (token.owner.as_deref().unwrap_or("–")) }
            td data-label="Team" { (token.team.as_deref().unwrap_or("–")) }
            td data-label="Ends in" { code { @if token.last4.is_empty() { "–" } @else { "…" (token.last4) } } }
            td data-label="Providers" { (token.providers.join(", ")) }
            td data-label="Status" { (badge(word)) }
            td data-label="Expires" { @if let Some(at) = token.expires_at() { (time::shown(at)) } @else { "never" } }
            td data-label="Last used" { @if let Some(day) = token.last_used { (day) } @else { "never" } }
            td data-label="Actions" { (toggle_for(Operation::ChangeToken, &format!("{address}/status"), token.status, &token.label)) }
        }
    }
}

/// Returns the state of a token: its status, `expired` after its expiry, or `retiring` if it has a successor.
pub(super) fn word(token: &Token) -> &'static str {
    match token.status {
        Status::Disabled => "disabled",
        Status::Active if !token.is_active_now() => "expired",
        Status::Active if token.successor.is_some() => "retiring",
        Status::Active => "active",
    }
}
