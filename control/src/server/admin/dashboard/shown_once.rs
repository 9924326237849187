//! The page that shows a new token, with examples of its use.
//!
//! The form that mints a token answers with a redirect to this page. A reload loads the page again and mints nothing.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::addresses::of_token;
use super::layout::{PageError, Place, page};
use super::sealed;
use super::snippets::snippets;
use crate::registry::{Created, RegistryError, SecretText, Token};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, Mints, Permit, op};
use crate::server::digest::DigestSegment;

/// Redirects to the page of a new token, which travels in a sealed cookie.
pub(super) async fn redirect<O: Mints>(
    permit: &Permit<O>,
    client: &Client,
    headers: &HeaderMap,
    created: &Created,
) -> Result<Response, RegistryError> {
    let to = Redirect::to(&format!("{}/new", of_token(&created.record)));
    let cookie = match &created.token {
        Some(token) => sealed::seal(permit, client, headers, token).await?,
        None => None,
    };
    Ok(match cookie {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], to).into_response(),
        None => to.into_response(),
    })
}

pub(super) async fn show(
    permit: Permit<op::CreateToken>,
    Extract(state): Extract<AdminState>,
    DigestSegment(digest): DigestSegment,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let record = permit.token(&digest).await?;
    Ok(match sealed::open(&permit, &headers, &digest).await? {
        Some(token) => page(StatusCode::OK, Place::Tokens, "Token created", &shown(&state, &record, &token)),
        None => page(StatusCode::GONE, Place::Tokens, "Token created", &gone(&record)),
    })
}

/// Removes the cookie, so that the page shows the token no more.
pub(super) async fn forget(
    permit: Permit<op::CreateToken>,
    client: Client,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    let record = permit.token(&digest).await?;
    let cookie = sealed::forget(&digest, &client)?;
    let to = Redirect::to(&of_token(&record));
    Ok(([(header::SET_COOKIE, cookie)], to).into_response())
}

fn shown(state: &AdminState, record: &Token, token: &SecretText) -> Markup {
    let minutes = sealed::LIFETIME_SECONDS / 60;
    html! {
        div .card {
            p { strong { "Copy the token of “" (record.label) "” now. " }
                "It is not stored. This browser can show it for " (minutes) " minutes, no other can." }
            div .secret {
                code #token tabindex="0" { (token.expose()) }
                button .primary type="button" data-copy="token" hidden { "Copy" }
            }
            p role="status" #copied {}
            form .actions method="post" action={ (of_token(record)) "/new" } {
                button { "I have stored it" }
                a .button href=(of_token(record)) { "To the token" }
                a .button href="/admin/tokens" { "To the list" }
            }
        }
        (snippets(&state.options().proxy_url, &record.providers, token.expose()))
    }
}

fn gone(record: &Token) -> Markup {
    html! {
        div .card {
            p { "The token of “" (record.label) "” cannot be shown any more: the registry has only its digest. If nobody stored it, \
                 rotate it, or delete it and create another." }
            p { a .button href=(of_token(record)) { "To the token" } " " a .button href="/admin/tokens" { "To the list" } }
        }
    }
}
