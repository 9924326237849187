//! The page of an owner's address, which disables all of a leaver at once: it lists what will happen first.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::addresses::{API_KEYS, of_owner, of_token, of_user};
use super::fields::Fields;
use super::layout::{PageError, Place, alert, badge, may, page};
use super::list::table;
use super::objects::address_of;
use super::tokens::word;
use crate::registry::{Holder, Offboarded, Status, Token};
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    email: String,
}

pub(super) async fn show(
    permit: Permit<op::ShowOwner>,
    Parameters(Wanted { email }): Parameters<Wanted>,
) -> Result<Response, PageError> {
    let email = email.trim();
    if email.is_empty() {
        return Ok(page(StatusCode::OK, Place::Users, finder_title(), &finder("", None)));
    }
    Ok(match permit.owned_by(email).await {
        Ok(owned) => {
            let title = if may(Operation::Offboard) { "Offboard" } else { "Tokens of" };
            page(StatusCode::OK, Place::Users, &format!("{title} {email}"), &content(email, &owned))
        }
        Err(error) => {
            let problem = Problem::from(error);
            let content = finder(email, Some(problem.detail()));
            page(problem.status(), Place::Users, finder_title(), &content)
        }
    })
}

pub(super) async fn offboard(permit: Permit<op::Offboard>, fields: Fields) -> Result<Response, PageError> {
    let email = fields.text("email").trim();
    permit.offboard(email).await?;
    Ok(Redirect::to(&of_owner(email)).into_response())
}

fn finder_title() -> &'static str {
    if may(Operation::Offboard) { "Offboard a leaver" } else { "Tokens of an owner" }
}

fn finder(email: &str, message: Option<&str>) -> Markup {
    html! {
        (alert(message))
        p { "Shows the user and all tokens of an address." @if may(Operation::Offboard) { " The next page disables them after you have seen them." } }
        form .filter method="get" action="/admin/offboard" {
            label { "Email" input type="email" name="email" autocomplete="off" required value=(email); }
            button { "Show" }
        }
    }
}

fn content(email: &str, owned: &Offboarded) -> Markup {
    let active = |token: &&Token| token.status == Status::Active;
    let tokens = owned.tokens.iter().filter(active).count();
    let user = owned.user.as_ref().is_some_and(|user| user.status == Status::Active);
    let rows: Vec<Markup> = owned.tokens.iter().map(row).collect();
    html! {
        p { a href="/admin/users" { "← All users" } }
        section .card {
            h2 { "User" }
            @match &owned.user {
                Some(of) => p { a href=(of_user(&of.email)) { (of.email) } " " (badge(of.status.name())) },
                None => p { "The registry has no user with this address. If an issuer of your policies admits every person, disable the \
                             person there, too." },
            }
        }
        @if may(Operation::Offboard) { (disabling(email, tokens, user)) }
        @if !owned.api_keys.is_empty() {
            section .card {
                h2 { "API keys" }
                p { "This address has created API keys that stay valid: " (owned.api_keys.join(", ")) ". Revoke those that only the \
                     leaver used on the page " a href=(API_KEYS) { "API keys" } "." }
            }
        }
        p { a href=(address_of(&Holder::Person(email.to_lowercase()))) { "What the person holds at providers" } }
        h2 { "Tokens" }
        @if rows.is_empty() { p .empty { "No token has this owner." } }
        @else { (table(&["Label", "Ends in", "Providers", "Status", "Last used"], &rows)) }
    }
}

/// Returns the button that disables what is active.
fn disabling(email: &str, tokens: usize, user: bool) -> Markup {
    html! {
        section .card {
            h2 { "Disable" }
            @if tokens == 0 && !user {
                p { "Nothing of " (email) " is active." }
            } @else {
                p { "Requests of all that is active below are refused within seconds. Each part can be enabled again." }
                form method="post" action="/admin/offboard" {
                    input type="hidden" name="email" value=(email);
                    button .danger { "Disable " (words(tokens, user)) }
                }
            }
        }
    }
}

/// Returns the number of tokens, and the user, in words.
fn words(tokens: usize, user: bool) -> String {
    let tokens = match tokens {
        0 => None,
        1 => Some("1 token".to_owned()),
        more => Some(format!("{more} tokens")),
    };
    let parts: Vec<String> = user.then(|| "the user".to_owned()).into_iter().chain(tokens).collect();
    parts.join(" and ")
}

fn row(token: &Token) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(of_token(token)) { (token.label) } }
            td data-label="Ends in" { code { @if token.last4.is_empty() { "–" } @else { "…" (token.last4) } } }
            td data-label="Providers" { (token.providers.join(", ")) }
            td data-label="Status" { (badge(word(token))) }
            td data-label="Last used" { @if let Some(day) = token.last_used { (day) } @else { "never" } }
        }
    }
}
