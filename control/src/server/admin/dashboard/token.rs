//! One token, and what can be done with it.

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use keyswap_core::TokenDigest;
use maud::{Markup, html};

use super::fields::Fields;
use super::layout::{Failure, Place, alert, badge, page, toggle};
use super::tokens::word;
use super::{rate_limit, shown_once, time};
use crate::registry::{Actor, RegistryError, Source, Token, TokenPatch};
use crate::server::admin::grace::grace;
use crate::server::digest::digest;
use crate::server::extract::Segment;
use crate::server::problem::Problem;
use crate::server::state::State;

pub(super) async fn show(
    Extract(state): Extract<State>,
    Segment(sha256): Segment,
) -> Result<Response, Failure> {
    let token = state.registry().token(&digest(&sha256)?).await?;
    Ok(answer(StatusCode::OK, &token, None))
}

pub(super) async fn set_status(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(sha256): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let digest = digest(&sha256)?;
    let done = state.registry().set_token_status(&digest, fields.status(), &actor).await;
    back(&state, &digest, done).await
}

pub(super) async fn set_expiry(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(sha256): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let digest = digest(&sha256)?;
    let text = if fields.text("clear").is_empty() { fields.some("expires_at") } else { None };
    let expiry = text.map(|text| time::typed(&text));
    let done = state.registry().set_token_expiry(&digest, expiry.as_deref(), &actor).await;
    back(&state, &digest, done).await
}

pub(super) async fn set_rate_limit(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(sha256): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let digest = digest(&sha256)?;
    let limit = if fields.text("clear").is_empty() { fields.rate_limit() } else { Ok(None) };
    let done = match limit {
        Ok(limit) => {
            let patch = TokenPatch { rate_limit: Some(limit), ..TokenPatch::default() };
            state.registry().update_token(&digest, patch, &actor).await
        }
        Err(error) => Err(error),
    };
    back(&state, &digest, done).await
}

pub(super) async fn rotate(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(sha256): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let digest = digest(&sha256)?;
    let done = match grace(fields.text("grace").trim()) {
        Ok(grace) => state.registry().rotate_token(&digest, Source::Mint, grace, &actor).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(rotation) => Ok(shown_once::answer(&state, StatusCode::OK, "Token rotated", &rotation.successor)),
        Err(error) => back(&state, &digest, Err(error)).await,
    }
}

pub(super) async fn delete(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(sha256): Segment,
) -> Result<Response, Failure> {
    state.registry().delete_token(&digest(&sha256)?, &actor).await?;
    Ok(Redirect::to("/admin").into_response())
}

/// To the token's page, or the page with what went wrong.
async fn back(
    state: &State,
    digest: &TokenDigest,
    done: Result<Token, RegistryError>,
) -> Result<Response, Failure> {
    match done {
        Ok(token) => Ok(Redirect::to(&address(&token)).into_response()),
        Err(error) => {
            let token = state.registry().token(digest).await?;
            let problem = Problem::from(error);
            Ok(answer(problem.status(), &token, Some(problem.detail())))
        }
    }
}

fn address(token: &Token) -> String {
    format!("/admin/tokens/{}", token.digest.to_hex())
}

fn answer(status: StatusCode, token: &Token, message: Option<&str>) -> Response {
    let content = html! {
        p { a href="/admin" { "← All tokens" } }
        (alert(message))
        (facts(token))
        (forms(token))
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
            dt { "Providers" } dd { (token.providers.join(", ")) }
            dt { "Models" } dd { (if token.models == ["*"] { "all".to_owned() } else { token.models.join(", ") }) }
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
    let (requests, per) = rate_limit::texts(token.rate_limit);
    html! {
        div .columns {
            section .card {
                h2 { "Use" }
                p { "A disabled token is refused until it is enabled again." }
                (toggle(&format!("{address}/status"), token.status, &token.label))
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
                    (rate_limit::inputs((&requests, &per)))
                    div .actions {
                        button { "Set rate limit" }
                        button .quiet name="clear" value="yes" { "As the policy has it" }
                    }
                }
            }
            section .card {
                h2 { "Rotation" }
                p { "A new token with the same rights takes the place of this one." }
                form method="post" action={ (address) "/rotate" } {
                    label { "Both work for" span .hint { "such as 0s, 30m, 24h, 7d" }
                        input name="grace" value="24h" required autocomplete="off"; }
                    div .actions { button { "Rotate" } }
                }
            }
            section .card {
                h2 { "Deletion" }
                details {
                    summary { "Delete this token…" }
                    p { "It is refused from then on, and cannot be brought back." }
                    form method="post" action={ (address) "/delete" } { button .danger { "Delete for good" } }
                }
            }
        }
    }
}
