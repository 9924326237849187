//! The page of the audit log, newest first.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::layout::{PageError, Place, page};
use super::list::{List, Pages, skip};
use super::time;
use crate::registry::{AuditEntry, AuditQuery};
use crate::server::admin::audit::Asked;
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Parameters;

pub(super) const COLUMNS: [&str; 5] = ["Time (UTC)", "Actor", "Action", "Subject", "Detail"];

/// The groups of actions.
const ACTIONS: [&str; 9] =
    ["admin", "api_key", "audit", "budget", "credential", "object", "policy", "token", "user"];

pub(super) async fn list(
    permit: Permit<op::ReadAudit>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Response, PageError> {
    let asked_query = asked.query()?;
    let audit = permit.audit(&AuditQuery { skip: skip(asked.page), ..asked_query }).await?;
    let query: [(&str, &str); 5] = [
        ("subject", asked.subject.as_str()),
        ("actor", &asked.actor),
        ("action", &asked.action),
        ("since", &asked.since),
        ("until", &asked.until),
    ];
    let list = List {
        names: ("entry", "entries"),
        columns: &COLUMNS,
        rows: audit.items.iter().map(row).collect(),
        total: Some(audit.total),
        pages: Pages::numbered("/admin/audit", query.to_vec(), asked.page, audit.next.is_some()),
        first_steps: None,
        live: true,
    };
    let content = html! {
        (filter(&asked))
        (list.markup())
        (downloads(&query))
    };
    Ok(page(StatusCode::OK, Place::Audit, "Audit log", &content))
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form .filter method="get" action="/admin/audit" role="search" {
            label { "Subject" span .hint { "a digest, an email address or a policy" }
                input type="search" name="subject" value=(asked.subject); }
            label { "Actor" span .hint { "the whole name" } input name="actor" autocomplete="off" value=(asked.actor); }
            label { "Action" span .hint { "such as user.update, or user for all" }
                input name="action" autocomplete="off" list="actions" value=(asked.action); }
            datalist #actions { @for action in ACTIONS { option value=(action) {} } }
            label { "From" span .hint { "such as 2026-11-01 or 7d" } input name="since" autocomplete="off" value=(asked.since); }
            label { "Before" input name="until" autocomplete="off" value=(asked.until); }
            button { "Show" }
        }
    }
}

/// Returns the links to the files with all entries that the filters permit.
fn downloads(query: &[(&str, &str)]) -> Markup {
    let link = |format| {
        let given = query.iter().copied().filter(|(_, value)| !value.is_empty()).chain([("format", format)]);
        let query = serde_urlencoded::to_string(given.collect::<Vec<_>>()).unwrap_or_default();
        format!("/admin/api/audit/export?{query}")
    };
    html! {
        p .links {
            a href=(link("csv")) download { "Download as CSV" }
            a href=(link("ndjson")) download { "Download as NDJSON" }
        }
    }
}

pub(super) fn row(entry: &AuditEntry) -> Markup {
    html! {
        tr {
            th scope="row" { (time::shown(entry.at)) }
            td data-label="Actor" { (entry.actor.as_deref().unwrap_or("unknown")) }
            td data-label="Action" { (entry.action) }
            td .long data-label="Subject" { code { (entry.subject) } }
            td .long data-label="Detail" { (words(&entry.detail)) }
        }
    }
}

/// Returns the detail of an entry as text. Null members are left out.
pub(super) fn words(detail: &Value) -> String {
    match detail {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let field =
                |(name, value): (&String, &Value)| format!("{}: {}", name.replace('_', " "), words(value));
            fields.map(field).collect::<Vec<_>>().join(" · ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::words;

    #[test]
    fn details_are_read_by_people() {
        let detail = json!({"label": "a", "models": ["x", "y"], "rate_limit": {"per": "1s", "requests": 2}, "to": null});
        assert_eq!(words(&detail), "label: a · models: x, y · rate limit: per: 1s · requests: 2");
        assert_eq!(words(&json!({})), "");
    }
}
