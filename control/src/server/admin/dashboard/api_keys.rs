//! The page with the API keys of programs: the list, a form for a new key, and a form that revokes one.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use keyswap_core::base::UnixTime;
use maud::{Markup, html};

use super::addresses::API_KEYS;
use super::fields::Fields;
use super::layout::{PageError, Place, alert, badge, may, page};
use super::list::{List, Pages, select};
use super::sealed::Kind;
use super::{shown_once, time};
use crate::registry::{AdminRole, ApiKey, NewApiKey, RegistryError, RoleName, now};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::digest::DigestSegment;
use crate::server::problem::Problem;

pub(super) async fn list(permit: Permit<op::ListApiKeys>) -> Result<Response, PageError> {
    Ok(answer(StatusCode::OK, &permit.api_keys().await?, None, &Fields::default()))
}

pub(super) async fn create(
    permit: Permit<op::CreateApiKey>,
    client: Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, PageError> {
    match new_key(&permit, &fields).await {
        Ok(NewApiKey { key, record }) => {
            let new = (&record.digest, Some(&key));
            Ok(shown_once::redirect(Kind::ApiKey, &permit, &client, &headers, new).await?)
        }
        // The form keeps the values of the failed attempt.
        Err(error) => {
            let problem = Problem::from(error);
            Ok(answer(problem.status(), &permit.api_keys().await?, Some(problem.detail()), &fields))
        }
    }
}

pub(super) async fn revoke(
    permit: Permit<op::RevokeApiKey>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    permit.revoke_api_key(&digest).await?;
    Ok(Redirect::to(API_KEYS).into_response())
}

async fn new_key(permit: &Permit<op::CreateApiKey>, fields: &Fields) -> Result<NewApiKey, RegistryError> {
    let role = RoleName::from_name(fields.text("role"))
        .ok_or_else(|| RegistryError::Invalid { field: "role", expected: "pick one".to_owned() })?;
    let role = AdminRole::new(role, &fields.list("teams"), fields.some("email").as_deref())?;
    let read = |text: String| UnixTime::from_rfc3339(&time::typed(&text)).ok_or(RegistryError::InvalidExpiry);
    let expires_at = fields.some("expires_at").map(read).transpose()?;
    permit.create_api_key(fields.text("name").trim(), role, expires_at).await
}

fn answer(status: StatusCode, keys: &[ApiKey], message: Option<&str>, fields: &Fields) -> Response {
    let list = List {
        names: ("API key", "API keys"),
        columns: &["Name", "Id", "Role", "Created by", "Expires (UTC)", "Last used (UTC)", "Actions"],
        rows: keys.iter().map(row).collect(),
        total: i64::try_from(keys.len()).ok(),
        pages: Pages::none(),
        first_steps: Some(html! {
            p { "A program, such as CI or an export of the audit log, gets a key of its own with the least role that does." }
        }),
        live: status == StatusCode::OK,
    };
    let content = html! {
        p { "Programs send these keys to the administration API, which is described at "
            a href="/admin/api/openapi.json" { "/admin/api/openapi.json" } ". A key opens no page and makes no other keys." }
        (alert(message))
        @if may(Operation::CreateApiKey) {
            details .card open[message.is_some()] {
                summary { "New API key" }
                (new_form(fields))
            }
        }
        (list.markup())
    };
    page(status, Place::ApiKeys, "API keys", &content)
}

fn new_form(fields: &Fields) -> Markup {
    // The least role of all stands first, so that it is the one of a form that is sent in haste.
    let roles = [
        (RoleName::Auditor, "auditor: reads everything"),
        (RoleName::SelfService, "self-service: the tokens of one person"),
        (RoleName::TeamOwner, "team owner: the tokens, users and budgets of teams"),
        (RoleName::Admin, "administrator: everything"),
    ];
    let roles = roles.map(|(role, words)| (role.name(), words));
    html! {
        form .grid method="post" action=(API_KEYS) {
            label { "Name" span .hint { "of the program" }
                input name="name" autocomplete="off" maxlength="64" pattern="[A-Za-z0-9._\\-]+" required value=(fields.text("name")); }
            (select("Role", "role", fields.text("role"), &roles))
            label { "Teams" span .hint { "of a team owner, separated by commas" }
                input name="teams" autocomplete="off" value=(fields.text("teams")); }
            label { "Email" span .hint { "of the person of self-service" }
                input type="email" name="email" autocomplete="off" value=(fields.text("email")); }
            label { "Expires" span .hint { "in UTC, within a year; empty: in 90 days" }
                input type="datetime-local" name="expires_at" value=(fields.text("expires_at")); }
            div .actions { button .primary { "Create API key" } }
        }
    }
}

fn row(key: &ApiKey) -> Markup {
    let is_over = key.expires_at <= now();
    html! {
        tr class=[is_over.then_some("over")] {
            th scope="row" { (key.name) }
            td data-label="Id" { code { (key.id()) } }
            td data-label="Role" { (key.role) }
            td data-label="Created by" { (key.created_by) }
            td data-label="Expires" { (time::shown(key.expires_at)) @if is_over { " " (badge("expired")) } }
            td data-label="Last used" { @if let Some(at) = key.last_seen { (time::shown(at)) } @else { "never" } }
            td data-label="Actions" { @if may(Operation::RevokeApiKey) { (revoking(key)) } @else { "–" } }
        }
    }
}

/// Returns the form that revokes a key. It is folded, so that no single click revokes one.
fn revoking(key: &ApiKey) -> Markup {
    html! {
        details {
            summary aria-label={ "Revoke " (key.name) "…" } { "Revoke…" }
            p { "The program is refused at once. That cannot be undone." }
            form method="post" action={ (API_KEYS) "/" (key.digest.to_hex()) "/revoke" } {
                button .danger aria-label={ "Revoke " (key.name) } { "Revoke" }
            }
        }
    }
}
