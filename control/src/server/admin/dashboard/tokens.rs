//! The page with the list of tokens and the form for a new token.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use super::addresses::of_token;
use super::fields::Fields;
use super::layout::{PageError, Place, alert, badge, may, page, toggle_for};
use super::list::{List, Wanted, filter, select};
use super::sealed::Kind;
use super::{provider, rate_limit, shown_once, team, time};
use crate::registry::{Attention, NewToken, Order, SecretText, Source, Status, Token};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{Operation, Permit, Reader, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

/// The path of the list.
const ADDRESS: &str = "/admin/tokens";

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
    client: Client,
    headers: HeaderMap,
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
            certificate_sha256: None,
        };
        permit.create_token(token.map_or(Source::Mint, Source::Custom), new).await
    };
    match create().await {
        Ok(created) => {
            let new = (&created.record.digest, created.token.as_ref());
            Ok(shown_once::redirect(Kind::Token, &permit, &client, &headers, new).await?)
        }
        // The form keeps the values of the failed attempt.
        Err(error) => {
            let problem = Problem::from(error);
            answer(&permit, problem.status(), &Wanted::default(), Some(problem.detail()), &fields).await
        }
    }
}

async fn answer(
    reader: &Reader,
    status: StatusCode,
    wanted: &Wanted,
    message: Option<&str>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let tokens = reader.tokens(&wanted.listing()).await?;
    let list = List {
        names: ("token", "tokens"),
        columns: &COLUMNS,
        rows: tokens.items.iter().map(row).collect(),
        total: Some(tokens.total),
        pages: wanted.pages(ADDRESS, tokens.next.is_some()),
        first_steps: (!wanted.is_narrowed()).then(first_steps),
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
        (filter(ADDRESS, &wanted.search, &choices(wanted)))
        (list.markup())
    };
    Ok(page(status, Place::Tokens, "Tokens", &content))
}

/// Returns the choices of status, attention and order.
fn choices(wanted: &Wanted) -> Markup {
    let statuses = [("", "all"), ("active", "active"), ("disabled", "disabled")];
    let mut attention = vec![("", "all")];
    attention.extend(Attention::ALL.map(|one| (one.name(), words(one))));
    let orders = Order::ALL.map(|order| (order.name(), order_words(order)));
    html! {
        (select("Status", "status", &wanted.status, &statuses))
        (select("Attention", "attention", &wanted.attention, &attention))
        (select("Sort by", "sort", wanted.order().name(), &orders))
    }
}

/// Returns the words for tokens that need attention.
pub(super) fn words(attention: Attention) -> &'static str {
    match attention {
        Attention::Expiring => "Expire within 7 days",
        Attention::Unused => "Unused for 30 days",
        Attention::Unowned => "Without an owner",
    }
}

fn order_words(order: Order) -> &'static str {
    match order {
        Order::Newest => "newest",
        Order::Label => "label",
        Order::Owner => "owner",
        Order::Expiry => "next to expire",
        Order::LastUsed => "longest unused",
    }
}

/// Returns what to do where there is no token.
pub(super) fn first_steps() -> Markup {
    html! {
        ol {
            li { "Name this registry in the policy of your data planes, under " code { "registry" } ", with a credential of "
                code { "keyswap credential create" } "." }
            li { a href="/admin/tokens" { "Create a token" } " for a person or a program. Name its owner, and the providers that it may call." }
            li { "Put the token where the SDK expects the key: the page that shows it has examples to copy." }
        }
        p { "Tokens that stand in a policy come in with " code { "keyswap token import policy.yaml" } ", and those in a file with "
            code { "keyswap apply -f tokens.yaml" } "." }
    }
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
    let address = of_token(token);
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
