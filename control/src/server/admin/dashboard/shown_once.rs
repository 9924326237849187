//! Pages that show a new secret: a token with examples of its use, an API key.
//!
//! The form that makes a secret answers with a redirect to its page. A reload loads the page again and makes nothing.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use keyswap_core::base::Digest;
use maud::{Markup, html};

use super::addresses::{API_KEYS, of_token};
use super::layout::{PageError, Place, page};
use super::sealed::{self, Kind};
use super::snippets::snippets;
use crate::registry::{ApiKey, RegistryError, SecretText, Token};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, Mints, Permit, op};
use crate::server::digest::DigestSegment;

/// Redirects to the page of a new secret, which travels in a sealed cookie.
pub(super) async fn redirect<O: Mints>(
    kind: Kind,
    permit: &Permit<O>,
    client: &Client,
    headers: &HeaderMap,
    (digest, secret): (&Digest, Option<&SecretText>),
) -> Result<Response, RegistryError> {
    let to = Redirect::to(&kind.page(digest));
    let cookie = match secret {
        Some(secret) => sealed::seal(kind, permit, client, headers, secret).await?,
        None => None,
    };
    Ok(match cookie {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], to).into_response(),
        None => to.into_response(),
    })
}

pub(super) async fn show_token(
    permit: Permit<op::CreateToken>,
    Extract(state): Extract<AdminState>,
    DigestSegment(digest): DigestSegment,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let record = permit.token(&digest).await?;
    let (status, content) = match sealed::open(Kind::Token, &permit, &headers, &digest).await? {
        Some(token) => (StatusCode::OK, token_shown(&state, &record, &token)),
        None => (StatusCode::GONE, token_gone(&record)),
    };
    Ok(page(status, Place::Tokens, "Token created", &content))
}

/// Removes the cookie, so that the page shows the token no more.
pub(super) async fn forget_token(
    permit: Permit<op::CreateToken>,
    client: Client,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    let record = permit.token(&digest).await?;
    let cookie = sealed::forget(Kind::Token, &digest, &client)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&of_token(&record))).into_response())
}

pub(super) async fn show_api_key(
    permit: Permit<op::CreateApiKey>,
    DigestSegment(digest): DigestSegment,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let record = permit.api_key(&digest).await?;
    let (status, content) = match sealed::open(Kind::ApiKey, &permit, &headers, &digest).await? {
        Some(key) => (StatusCode::OK, key_shown(&record, &key)),
        None => (StatusCode::GONE, key_gone(&record)),
    };
    Ok(page(status, Place::ApiKeys, "API key created", &content))
}

/// Removes the cookie, so that the page shows the key no more.
pub(super) async fn forget_api_key(
    permit: Permit<op::CreateApiKey>,
    client: Client,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    permit.api_key(&digest).await?;
    let cookie = sealed::forget(Kind::ApiKey, &digest, &client)?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(API_KEYS)).into_response())
}

/// Returns the card with a secret. `links` lead away from the page.
fn card(
    kind: Kind,
    (noun, name): (&str, &str),
    digest: &Digest,
    secret: &SecretText,
    links: &Markup,
) -> Markup {
    let minutes = sealed::LIFETIME_SECONDS / 60;
    html! {
        div .card {
            p { strong { "Copy the " (noun) " of “" (name) "” now. " }
                "It is not stored. This browser can show it for " (minutes) " minutes, no other can." }
            div .secret {
                code #secret tabindex="0" { (secret.expose()) }
                button .primary type="button" data-copy="secret" hidden { "Copy" }
            }
            p role="status" {}
            form .actions method="post" action=(kind.page(digest)) {
                button { "I have stored it" }
                (links)
            }
        }
    }
}

fn token_shown(state: &AdminState, record: &Token, token: &SecretText) -> Markup {
    let links = html! {
        a .button href=(of_token(record)) { "To the token" }
        a .button href="/admin/tokens" { "To the list" }
    };
    html! {
        (card(Kind::Token, ("token", &record.label), &record.digest, token, &links))
        (snippets(&state.options().proxy_url, &record.providers, token.expose()))
    }
}

fn token_gone(record: &Token) -> Markup {
    html! {
        div .card {
            p { "The token of “" (record.label) "” cannot be shown any more: the registry has only its digest. If nobody stored it, \
                 rotate it, or delete it and create another." }
            p { a .button href=(of_token(record)) { "To the token" } " " a .button href="/admin/tokens" { "To the list" } }
        }
    }
}

fn key_shown(record: &ApiKey, key: &SecretText) -> Markup {
    let links = html! { a .button href=(API_KEYS) { "To the list" } };
    html! {
        (card(Kind::ApiKey, ("API key", &record.name), &record.digest, key, &links))
        p { "The program sends it to " code { "/admin/api/" } " as " code { "Authorization: Bearer …" } ". The command reads it from "
            code { "KEYSWAP_API_KEY" } ". Its role: " (record.role) "." }
    }
}

fn key_gone(record: &ApiKey) -> Markup {
    html! {
        div .card {
            p { "The API key “" (record.name) "” cannot be shown any more: the registry has only its digest. If nobody stored it, \
                 revoke it and create another." }
            p { a .button href=(API_KEYS) { "To the list" } }
        }
    }
}
