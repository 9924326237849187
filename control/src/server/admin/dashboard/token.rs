//! The page of one token, and its actions.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::addresses::{of_owner, of_token};
use super::change::{Change, form_page};
use super::history::{SHOWN, history};
use super::layout::{PageError, Place, alert, badge, may, page};
use super::objects::address_of;
use super::sealed::Kind;
use super::token_forms::{declared, forms};
use super::tokens::word;
use super::{provider, shown_once, time};
use crate::registry::{Holder, RegistryError, Source, Token, TokenPatch};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::admin::grace::grace;
use crate::server::digest::DigestSegment;
use crate::server::problem::Problem;

pub(super) async fn show(
    permit: Permit<op::ShowToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    let token = permit.token(&digest).await?;
    answer(&permit, StatusCode::OK, &token, None).await
}

pub(super) async fn set_rights(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let fields = &change.fields;
    let patch = TokenPatch {
        label: Some(fields.text("label").to_owned()),
        owner: Some(fields.some("owner")),
        team: Some(fields.some("team")),
        providers: Some(provider::providers(fields)),
        models: Some(fields.list("models")),
        ..TokenPatch::default()
    };
    update(&change, Ok(patch)).await
}

pub(super) async fn set_status(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let patch = TokenPatch { status: Some(change.fields.status()), ..TokenPatch::default() };
    update(&change, Ok(patch)).await
}

pub(super) async fn set_expiry(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let fields = &change.fields;
    let text = if fields.text("clear").is_empty() { fields.some("expires_at") } else { None };
    let expires_at = Some(text.map(|text| time::typed(&text)));
    update(&change, Ok(TokenPatch { expires_at, ..TokenPatch::default() })).await
}

pub(super) async fn set_rate_limit(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let fields = &change.fields;
    let limit = if fields.text("clear").is_empty() { fields.rate_limit() } else { Ok(None) };
    let patch = limit.map(|limit| TokenPatch { rate_limit: Some(limit), ..TokenPatch::default() });
    update(&change, patch).await
}

pub(super) async fn undo(change: Change<op::ChangeToken, DigestSegment>) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest)) = (&change.permit, &change.subject);
    let undone = match change.fields.text("entry").parse() {
        Ok(entry) => permit.undo_token(digest, entry).await,
        Err(_) => Err(RegistryError::NotUndoable),
    };
    to_token(&change, undone).await
}

pub(super) async fn rotate(
    client: Client,
    headers: HeaderMap,
    change: Change<op::RotateToken, DigestSegment>,
) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest)) = (&change.permit, &change.subject);
    let rotated = match grace(change.fields.text("grace").trim()) {
        Ok(grace) => permit.rotate_token(digest, Source::Mint, grace).await,
        Err(error) => Err(error),
    };
    match rotated {
        Ok(rotation) => {
            let new = (&rotation.successor.record.digest, rotation.successor.token.as_ref());
            Ok(shown_once::redirect(Kind::Token, permit, &client, &headers, new).await?)
        }
        Err(error) => page_again(&change, &error.into()).await,
    }
}

pub(super) async fn delete(
    permit: Permit<op::DeleteToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    permit.delete_token(&digest).await?;
    Ok(Redirect::to("/admin/tokens").into_response())
}

/// Applies a patch. If the form names a version, a token that was changed since is left as it is.
async fn update(
    change: &Change<op::ChangeToken, DigestSegment>,
    patch: Result<TokenPatch, RegistryError>,
) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest)) = (&change.permit, &change.subject);
    let updated = match patch {
        Ok(patch) => {
            let patch = TokenPatch { version: change.fields.version(), ..patch };
            permit.update_token(digest, patch).await
        }
        Err(error) => Err(error),
    };
    to_token(change, updated).await
}

/// Redirects to the token's page, or answers with the page and the problem.
async fn to_token(
    change: &Change<op::ChangeToken, DigestSegment>,
    updated: Result<Token, RegistryError>,
) -> Result<Response, PageError> {
    let done = |token: Token| Redirect::to(&of_token(&token)).into_response();
    form_page(updated, done, async |problem| page_again(change, &problem).await).await
}

async fn page_again<O>(change: &Change<O, DigestSegment>, problem: &Problem) -> Result<Response, PageError> {
    let token = change.permit.token(&change.subject.0).await?;
    answer(&change.permit, problem.status(), &token, Some(problem.detail())).await
}

async fn answer<O>(
    permit: &Permit<O>,
    status: StatusCode,
    token: &Token,
    message: Option<&str>,
) -> Result<Response, PageError> {
    let changes = permit.changes_of_token(token, SHOWN).await?;
    let content = html! {
        p { a href="/admin/tokens" { "← All tokens" } }
        (alert(message))
        (facts(token))
        @if may(Operation::ChangeToken) { @if token.source.is_some() { (declared(token)) } @else { (forms(token)) } }
        (history(&changes, &token.digest.to_hex(), &of_token(token), Operation::ChangeToken))
    };
    Ok(page(status, Place::Tokens, &token.label, &content))
}

fn facts(token: &Token) -> Markup {
    html! {
        dl .card.facts {
            dt { "Status" } dd { (badge(word(token))) }
            dt { "SHA-256" } dd { code { (token.digest.to_hex()) } }
            dt { "Ends in" } dd { @if token.last4.is_empty() { "unknown" } @else { code { "…" (token.last4) } } }
            dt { "Owner" }
            dd { @if let Some(owner) = &token.owner { a href=(of_owner(owner)) { (owner) } } @else { "none" } }
            dt { "Team" } dd { (token.team.as_deref().unwrap_or("none")) }
            dt { "Providers" } dd { (token.providers.join(", ")) }
            dt { "Models" } dd { (if token.models == ["*"] { "all".to_owned() } else { token.models.join(", ") }) }
            dt { "Usage" } dd { a href={ "/admin/usage/token%3A" (token.digest.to_hex()) } { "Usage and budget" } }
            dt { "Objects" } dd { a href=(address_of(&Holder::Token(token.digest))) { "What it holds at providers" } }
            dt { "Rate limit" } dd { @if let Some(limit) = token.rate_limit { (limit) } @else { "the policy's" } }
            @if let Some(certificate) = token.certificate {
                dt { "Certificate" } dd { code { (certificate.to_hex()) } }
            }
            dt { "Created" } dd { (time::shown(token.created_at)) }
            dt { "Expires" } dd { @if let Some(at) = token.expires_at() { (time::shown(at)) } @else { "never" } }
            dt { "Last used" } dd { @if let Some(day) = token.last_used { (day) } @else { "never" } }
            @if let Some(source) = &token.source { dt { "Declared by" } dd { code { (source) } } }
            @if let Some(successor) = token.successor {
                dt { "Successor" }
                dd { a href={ "/admin/tokens/" (successor.to_hex()) } { code { (successor.to_hex()) } } }
            }
        }
    }
}
