//! The page of a token, an owner or a team: its usage, its budget, what is left and when it resets.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::budget;
use super::change::{Change, form_page};
use super::layout::{PageError, Place, alert, page};
use super::payer_address::address;
use super::span::Span;
use super::sums::{downloads, greatest, history};
use crate::registry::{Payer, RegistryError, UsageBy, UsageQuery, now};
use crate::server::admin::gate::{Permit, Reader, op};
use crate::server::extract::{Parameters, Segment};
use crate::server::problem::Problem;

/// The lines of each list.
const TOP: u32 = 10;

/// A subject that was typed.
#[derive(Deserialize)]
pub(super) struct Typed {
    subject: String,
}

/// Redirects to the page of a subject that was typed: an email address, or the name of a team.
pub(super) async fn find(
    _: Permit<op::ReadUsage>,
    Parameters(typed): Parameters<Typed>,
) -> Result<Response, PageError> {
    let text = typed.subject.trim();
    let subject = match text {
        _ if text.contains(':') => Payer::parse(text),
        _ if text.contains('@') => Payer::parse(&format!("owner:{text}")),
        _ => Payer::parse(&format!("team:{text}")),
    };
    Ok(Redirect::to(&address(&subject?)).into_response())
}

/// Returns the form that leads to the page of a subject.
pub(super) fn finder() -> Markup {
    html! {
        form .filter method="get" action="/admin/usage/find" role="search" {
            label { "Owner or team" span .hint { "an email address, or a name" }
                input name="subject" autocomplete="off" required; }
            button { "Show" }
        }
    }
}

pub(super) async fn show(
    permit: Permit<op::ReadUsage>,
    Segment(subject): Segment,
    Parameters(span): Parameters<Span>,
) -> Result<Response, PageError> {
    answer(&permit, StatusCode::OK, &Payer::parse(&subject)?, span, None).await
}

/// Sets the budget of a subject, or deletes it if the form has no amount.
pub(super) async fn set_budget(change: Change<op::SetBudget, Segment>) -> Result<Response, PageError> {
    let subject = Payer::parse(&change.subject.0)?;
    let permit = &change.permit;
    let set = async || match budget::of_fields(&change.fields)? {
        Some(budget) => permit.set_budget(&subject, &budget).await,
        None => permit.delete_budget(&subject).await,
    };
    let done = |()| Redirect::to(&address(&subject)).into_response();
    form_page(set().await, done, async |problem: Problem| {
        answer(permit, problem.status(), &subject, Span::default(), Some(problem.detail())).await
    })
    .await
}

/// Answers with the page, and a message of a failed form.
async fn answer(
    reader: &Reader,
    status: StatusCode,
    subject: &Payer,
    span: Span,
    message: Option<&str>,
) -> Result<Response, PageError> {
    let query = of_subject(span.query(), subject);
    let budgets = reader.budget(subject, now()).await?;
    let mut lists = vec![("Model", UsageBy::Model)];
    if !matches!(subject, Payer::Token(_)) {
        lists.push(("Caller", UsageBy::Token));
    }
    let content = html! {
        p { a href="/admin/usage" { "← All usage" } }
        (alert(message))
        (record(subject))
        (budget::section(subject, &budgets))
        (span.links(&address(subject)))
        (history(reader, &query).await?)
        div .columns.lists {
            @for (title, by) in lists { (greatest(title, by, &reader.usage(&query, by, TOP).await?)) }
        }
        (downloads(&query, &filter(subject)))
    };
    let title = title(reader, subject).await?;
    Ok(page(status, Place::Usage, &title, &content))
}

fn of_subject(query: UsageQuery, subject: &Payer) -> UsageQuery {
    match subject {
        Payer::Token(digest) => UsageQuery { token: Some(*digest), ..query },
        Payer::Owner(email) => UsageQuery { owner: Some(email.clone()), ..query },
        Payer::Team(team) => UsageQuery { team: Some(team.clone()), ..query },
    }
}

fn filter(subject: &Payer) -> String {
    let (name, value) = match subject {
        Payer::Token(digest) => ("token", digest.to_hex()),
        Payer::Owner(email) => ("owner", utf8_percent_encode(email, NON_ALPHANUMERIC).to_string()),
        Payer::Team(team) => ("team", team.clone()),
    };
    format!("&{name}={value}")
}

/// Returns the link to the record of a subject.
fn record(subject: &Payer) -> Markup {
    html! {
        @if let Payer::Token(digest) = subject {
            p { a href={ "/admin/tokens/" (digest.to_hex()) } { "The record of this token" } }
        }
    }
}

/// Returns the title: the label of a token that the registry knows, else the subject.
async fn title(reader: &Reader, subject: &Payer) -> Result<String, RegistryError> {
    Ok(match subject {
        Payer::Token(digest) => match reader.token(digest).await {
            Ok(token) => format!("Usage of {}", token.label),
            Err(RegistryError::UnknownToken) => {
                format!("Usage of {}", digest.to_hex().chars().take(16).collect::<String>())
            }
            Err(error) => return Err(error),
        },
        Payer::Owner(email) => format!("Usage of {email}"),
        Payer::Team(team) => format!("Usage of team {team}"),
    })
}
