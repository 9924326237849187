//! The page of the audit log, newest first.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{PageError, Place, page};
use super::list::List;
use super::time;
use crate::registry::{AuditEntry, Listing};
use crate::server::admin::gate::{Permit, op};
use crate::server::extract::Parameters;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    subject: String,
    after: Option<i64>,
}

pub(super) async fn list(
    permit: Permit<op::ReadAudit>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, PageError> {
    let search = Some(wanted.subject.clone()).filter(|text| !text.is_empty());
    let listing = Listing { search, after: wanted.after, ..Listing::default() };
    let audit = permit.audit(&listing).await?;
    let list = List {
        names: ("entry", "entries"),
        columns: &["Time (UTC)", "Actor", "Action", "Subject", "Detail"],
        rows: audit.items.iter().map(row).collect(),
        total: None,
        address: "/admin/audit",
        query: &[("subject", &wanted.subject)],
        next: audit.next,
        live: true,
    };
    let content = html! {
        form .filter method="get" action="/admin/audit" role="search" {
            label { "Subject" span .hint { "a digest, an email address or a policy" }
                input type="search" name="subject" value=(wanted.subject); }
            button { "Show" }
        }
        (list.markup())
    };
    Ok(page(StatusCode::OK, Place::Audit, "Audit log", &content))
}

fn row(entry: &AuditEntry) -> Markup {
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
fn words(detail: &Value) -> String {
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
