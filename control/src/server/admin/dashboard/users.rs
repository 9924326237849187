//! The page with the list of users and the form for a new user.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::addresses::of_user;
use super::change::form_page;
use super::fields::Fields;
use super::layout::{PageError, Place, alert, badge, may, page, toggle_for};
use super::list::{List, Wanted, filter, select};
use super::{provider, rate_limit, team};
use crate::registry::{NewUser, User};
use crate::server::admin::gate::{Operation, Permit, Reader, op};
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

const STATUSES: [(&str, &str); 3] = [("", "all"), ("active", "active"), ("disabled", "disabled")];

pub(super) async fn list(
    permit: Permit<op::ListUsers>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, PageError> {
    answer(&permit, StatusCode::OK, &wanted, None, &Fields::default()).await
}

pub(super) async fn create(permit: Permit<op::CreateUser>, fields: Fields) -> Result<Response, PageError> {
    let create = async || {
        let new = NewUser {
            email: fields.text("email").trim().to_owned(),
            label: fields.some("label"),
            team: fields.some("team"),
            providers: provider::providers(&fields),
            models: fields.list("models"),
            rate_limit: fields.rate_limit()?,
        };
        permit.create_user(new).await
    };
    let done = |_| Redirect::to("/admin/users").into_response();
    form_page(create().await, done, async |problem: Problem| {
        answer(&permit, problem.status(), &Wanted::default(), Some(problem.detail()), &fields).await
    })
    .await
}

async fn answer(
    reader: &Reader,
    status: StatusCode,
    wanted: &Wanted,
    message: Option<&str>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let users = reader.users(&wanted.listing()).await?;
    let list = List {
        names: ("user", "users"),
        columns: &["Email", "Name", "Team", "Providers", "Status", "Actions"],
        rows: users.items.iter().map(row).collect(),
        total: Some(users.total),
        pages: wanted.pages("/admin/users", users.next.is_some()),
        first_steps: (!wanted.is_narrowed()).then(first_steps),
        live: status == StatusCode::OK,
    };
    let content = html! {
        p { "Users sign in at an identity provider and are identified by their email address. "
            @if may(Operation::Offboard) { a href="/admin/offboard" { "Offboard a leaver" } } }
        (alert(message))
        @if may(Operation::CreateUser) {
            details .card open[message.is_some()] {
                summary { "New user" }
                form .grid method="post" action="/admin/users" {
                    label { "Email" input type="email" name="email" autocomplete="off" required value=(fields.text("email")); }
                    label { "Name" input name="label" autocomplete="off" value=(fields.text("label")); }
                    (team::input(fields.text("team")))
                    (provider::inputs(&provider::providers(fields), &fields.list("models")))
                    (rate_limit::inputs(rate_limit::NAMES.map(|name| fields.text(name))))
                    div .actions { button .primary { "Create user" } }
                }
            }
        }
        (filter("/admin/users", &wanted.search, &select("Status", "status", &wanted.status, &STATUSES)))
        (list.markup())
    };
    Ok(page(status, Place::Users, "Users", &content))
}

/// Returns what to do where there is no user.
fn first_steps() -> Markup {
    html! {
        p { "Users are needed only if people sign in at an issuer of your policy. With " code { "principals: known" }
            " each of them needs an entry here; with " code { "principals: any" } " an entry narrows what a person may do." }
    }
}

fn row(user: &User) -> Markup {
    let address = of_user(&user.email);
    html! {
        tr {
            th scope="row" { a href=(address) { (user.email) } }
            td data-label="Name" { (user.label.as_deref().unwrap_or("–")) }
            td data-label="Team" { (user.team.as_deref().unwrap_or("–")) }
            td data-label="Providers" { (user.providers.join(", ")) }
            td data-label="Status" { (badge(user.status.name())) }
            td data-label="Actions" { (toggle_for(Operation::ChangeUser, &format!("{address}/status"), user.status, &user.email)) }
        }
    }
}
