//! The page of one token, and its actions.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::change::{Change, form_page};
use super::layout::{PageError, Place, alert, badge, may, page, toggle_for};
use super::objects::address_of;
use super::tokens::word;
use super::{rate_limit, shown_once, team, time};
use crate::registry::{Holder, RegistryError, Rotation, Source, Token, TokenPatch};
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::admin::grace::grace;
use crate::server::digest::DigestSegment;
use crate::server::problem::Problem;

pub(super) async fn show(
    permit: Permit<op::ShowToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    let token = permit.token(&digest).await?;
    Ok(answer(StatusCode::OK, &token, None))
}

pub(super) async fn set_status(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest)) = (&change.permit, &change.subject);
    let updated = permit
        .update_token(digest, TokenPatch { status: Some(change.fields.status()), ..TokenPatch::default() })
        .await;
    to_token(&change, updated).await
}

pub(super) async fn set_team(change: Change<op::ChangeToken, DigestSegment>) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest), fields) = (&change.permit, &change.subject, &change.fields);
    let updated = permit
        .update_token(digest, TokenPatch { team: Some(fields.some("team")), ..TokenPatch::default() })
        .await;
    to_token(&change, updated).await
}

pub(super) async fn set_expiry(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest), fields) = (&change.permit, &change.subject, &change.fields);
    let text = if fields.text("clear").is_empty() { fields.some("expires_at") } else { None };
    let expiry = text.map(|text| time::typed(&text));
    let updated =
        permit.update_token(digest, TokenPatch { expires_at: Some(expiry), ..TokenPatch::default() }).await;
    to_token(&change, updated).await
}

pub(super) async fn set_rate_limit(
    change: Change<op::ChangeToken, DigestSegment>,
) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest), fields) = (&change.permit, &change.subject, &change.fields);
    let limit = if fields.text("clear").is_empty() { fields.rate_limit() } else { Ok(None) };
    let updated = match limit {
        Ok(limit) => {
            let patch = TokenPatch { rate_limit: Some(limit), ..TokenPatch::default() };
            permit.update_token(digest, patch).await
        }
        Err(error) => Err(error),
    };
    to_token(&change, updated).await
}

pub(super) async fn rotate(change: Change<op::RotateToken, DigestSegment>) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest)) = (&change.permit, &change.subject);
    let rotated = match grace(change.fields.text("grace").trim()) {
        Ok(grace) => permit.rotate_token(digest, Source::Mint, grace).await,
        Err(error) => Err(error),
    };
    let done = |rotation: Rotation| {
        shown_once::answer(&change.state, StatusCode::OK, "Token rotated", &rotation.successor)
    };
    form_page(rotated, done, async |problem| page_again(&change, &problem).await).await
}

pub(super) async fn delete(
    permit: Permit<op::DeleteToken>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    permit.delete_token(&digest).await?;
    Ok(Redirect::to("/admin").into_response())
}

/// Redirects to the token's page, or answers with the page and the problem.
async fn to_token(
    change: &Change<op::ChangeToken, DigestSegment>,
    updated: Result<Token, RegistryError>,
) -> Result<Response, PageError> {
    let done = |token: Token| Redirect::to(&address(&token)).into_response();
    form_page(updated, done, async |problem| page_again(change, &problem).await).await
}

async fn page_again<O>(change: &Change<O, DigestSegment>, problem: &Problem) -> Result<Response, PageError> {
    let token = change.permit.token(&change.subject.0).await?;
    Ok(answer(problem.status(), &token, Some(problem.detail())))
}

fn address(token: &Token) -> String {
    format!("/admin/tokens/{}", token.digest.to_hex())
}

fn answer(status: StatusCode, token: &Token, message: Option<&str>) -> Response {
    let content = html! {
        p { a href="/admin" { "← All tokens" } }
        (alert(message))
        (facts(token))
        @if may(Operation::ChangeToken) { (forms(token)) }
    };
    page(status, Place::Tokens, &token.label, &content)
}

fn facts(token: &Token) -> Markup {
    html! {
        dl .card.facts {
            dt { "Status" } dd { (badge(word(token))) }
            dt { "SHA-256" } dd { code { (token.digest.to_hex()) } }
            dt { "Ends in" } dd { @if token.last4.is_empty() { "unknown" } @else { code { "…" (token.last4) } } }
            dt { "Owner" } dd { (token.owner.as_deref().unwrap_or("none")) }
            dt { "Team" } dd { (token.team.as_deref().unwrap_or("none")) }
            dt { "Providers" } dd { (token.providers.join(", ")) }
            dt { "Models" } dd { (if token.models == ["*"] { "all".to_owned() } else { token.models.join(", ") }) }
            dt { "Usage" } dd { a href={ "/admin/usage/token%3A" (token.digest.to_hex()) } { "Usage and budget" } }
            dt { "Objects" } dd { a href=(address_of(&Holder::Token(token.digest))) { "What it holds at providers" } }
            dt { "Rate limit" } dd { @if let Some(limit) = token.rate_limit { (limit) } @else { "the policy's" } }
            dt { "Created" } dd { (time::shown(token.created_at)) }
            dt { "Expires" } dd { @if let Some(at) = token.expires_at() { (time::shown(at)) } @else { "never" } }
            dt { "Last used" } dd { @if let Some(day) = token.last_used { (day) } @else { "never" } }
            @if let Some(successor) = token.successor {
                dt { "Successor" }
                dd { a href={ "/admin/tokens/" (successor.to_hex()) } { code { (successor.to_hex()) } } }
            }
        }
    }
}

fn forms(token: &Token) -> Markup {
    let address = address(token);
    let expiry = token.own_expiry.map(time::input).unwrap_or_default();
    let rate_limit = rate_limit::texts(token.rate_limit);
    html! {
        div .columns {
            section .card {
                h2 { "Status" }
                p { "Requests with a disabled token are refused until it is enabled." }
                (toggle_for(Operation::ChangeToken, &format!("{address}/status"), token.status, &token.label))
            }
            section .card {
                h2 { "Team" }
                form method="post" action={ (address) "/team" } {
                    (team::input(token.team.as_deref().unwrap_or_default()))
                    div .actions { button { "Set team" } }
                }
            }
            section .card {
                h2 { "Expiry" }
                form method="post" action={ (address) "/expiry" } {
                    label { "Expires" span .hint { "in UTC" }
                        input type="datetime-local" name="expires_at" value=(expiry); }
                    div .actions {
                        button { "Set expiry" }
                        button .quiet name="clear" value="yes" { "Never expire" }
                    }
                }
            }
            section .card {
                h2 { "Rate limit" }
                form method="post" action={ (address) "/rate-limit" } {
                    (rate_limit::inputs(rate_limit.each_ref().map(String::as_str)))
                    div .actions {
                        button { "Set rate limit" }
                        button .quiet name="clear" value="yes" { "Use the policy's limit" }
                    }
                }
            }
            section .card {
                h2 { "Rotation" }
                p { "Creates a token with the same rights, which replaces this one." }
                form method="post" action={ (address) "/rotate" } {
                    label { "Both tokens work for" span .hint { "such as 0s, 30m, 24h, 7d" }
                        input name="grace" value="24h" required autocomplete="off"; }
                    div .actions { button { "Rotate" } }
                }
            }
            section .card {
                h2 { "Deletion" }
                details {
                    summary { "Delete this token…" }
                    p { "Requests with the token are refused. Deletion cannot be undone. What the token holds at providers stays, and \
                         can be transferred." }
                    form method="post" action={ (address) "/delete" } { button .danger { "Delete permanently" } }
                }
            }
        }
    }
}
