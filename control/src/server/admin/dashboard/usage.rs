//! The overview of usage and cost, and the files to download.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::html;
use serde::Deserialize;

use super::budget;
use super::layout::{PageError, Place, page};
use super::payer::finder;
use super::span::Span;
use super::sums::{downloads, greatest, history};
use crate::export;
use crate::registry::{UsageBy, now};
use crate::server::admin::gate::{Permit, op};
use crate::server::admin::usage::Asked;
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

/// The lines of each list of the greatest.
const TOP: u32 = 10;

/// The budgets of policies on the page.
const MAX_BUDGETS: i64 = 50;

pub(super) async fn overview(
    permit: Permit<op::ReadUsage>,
    Parameters(span): Parameters<Span>,
) -> Result<Response, PageError> {
    let query = span.query();
    let mut budgets = permit.budgets(now()).await?;
    budgets.append(&mut permit.budgets_of_policies(MAX_BUDGETS, now()).await?);
    let content = html! {
        p { "Usage as data planes reported it, in UTC. Costs follow the price table of the policy, not an invoice." }
        (span.links("/admin/usage"))
        (history(&permit, &query).await?)
        div .columns.lists {
            @for (title, by) in [("Model", UsageBy::Model), ("Team", UsageBy::Team), ("Caller", UsageBy::Token)] {
                (greatest(title, by, &permit.usage(&query, by, TOP).await?))
            }
        }
        section .card {
            h2 { "Budgets" }
            @if budgets.is_empty() {
                p .empty { "No budgets. Set one on the page of a token, an owner or a team." }
            } @else {
                (budget::list(&budgets))
            }
        }
        (finder())
        (downloads(&query, ""))
    };
    Ok(page(StatusCode::OK, Place::Usage, "Usage", &content))
}

/// The form of a download, beside the parameters of the question.
#[derive(Deserialize)]
pub(super) struct Download {
    #[serde(default)]
    form: String,
    #[serde(flatten)]
    asked: std::collections::BTreeMap<String, String>,
}

pub(super) async fn download(
    permit: Permit<op::ReadUsage>,
    Parameters(Download { form, asked }): Parameters<Download>,
) -> Result<Response, PageError> {
    let invalid =
        |_| Problem::new(StatusCode::BAD_REQUEST, "invalid_parameter", "a query parameter is invalid");
    let asked: Asked = serde_json::from_value(serde_json::json!(asked)).map_err(invalid)?;
    let query = asked.query()?;
    let (name, text) = if form == "focus" {
        ("focus.csv", export::focus(&permit.usage_details(&query, Asked::MAX_LIMIT).await?))
    } else {
        let summary = permit.usage(&query, asked.by(), Asked::MAX_LIMIT).await?;
        ("usage.csv", export::summary(asked.by(), &summary.items))
    };
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, text).into_response())
}
