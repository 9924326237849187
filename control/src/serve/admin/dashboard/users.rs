//! The list of users, and the form for a new one.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::fields::Fields;
use super::layout::{Failure, Place, alert, badge, more, page, toggle};
use super::{provider, user};
use crate::registry::{Listing, NewUser, Page, User};
use crate::serve::State;
use crate::serve::admin::actor;
use crate::serve::extract::Parameters;
use crate::serve::problem::Problem;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    search: String,
    after: Option<i64>,
}

pub(super) async fn list(
    Extract(state): Extract<State>,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Failure> {
    answer(&state, StatusCode::OK, &wanted, None, &Fields::default()).await
}

pub(super) async fn create(Extract(state): Extract<State>, fields: Fields) -> Result<Response, Failure> {
    let new = NewUser {
        email: fields.text("email").trim().to_owned(),
        label: fields.some("label"),
        providers: provider::providers(&fields),
        models: fields.list("models"),
        rate_limit: None,
    };
    match state.registry().create_user(new, &actor()).await {
        Ok(_) => Ok(Redirect::to("/admin/users").into_response()),
        Err(error) => {
            let problem = Problem::from(error);
            answer(&state, problem.status(), &Wanted::default(), Some(problem.detail()), &fields).await
        }
    }
}

async fn answer(
    state: &State,
    status: StatusCode,
    wanted: &Wanted,
    message: Option<&str>,
    fields: &Fields,
) -> Result<Response, Failure> {
    let search = Some(wanted.search.clone()).filter(|text| !text.is_empty());
    let listing = Listing { search, status: None, after: wanted.after, limit: None };
    let users = state.registry().users(&listing).await?;
    let content = html! {
        p { "People who sign in elsewhere, known here by their email address." }
        (alert(message))
        details .card open[message.is_some()] {
            summary { "New user" }
            form .grid method="post" action="/admin/users" {
                label { "Email" input type="email" name="email" autocomplete="off" required value=(fields.text("email")); }
                label { "Name" input name="label" autocomplete="off" value=(fields.text("label")); }
                (provider::inputs(&provider::providers(fields), &fields.list("models")))
                div .actions { button .primary { "Create user" } }
            }
        }
        form .filter method="get" action="/admin/users" role="search" {
            label { "Search" input type="search" name="search" value=(wanted.search); }
            button { "Show" }
        }
        section #live aria-label="List of users" data-live[status == StatusCode::OK] { (table(&users, wanted)) }
    };
    Ok(page(status, Place::Users, "Users", &content))
}

fn table(users: &Page<User>, wanted: &Wanted) -> Markup {
    if users.items.is_empty() {
        return html! { p .empty { "There are no users here." } };
    }
    let query = serde_urlencoded::to_string([("search", &wanted.search)]).unwrap_or_default();
    html! {
        p .count { (users.total) @if users.total == 1 { " user" } @else { " users" } }
        div .table {
            table {
                thead { tr {
                    th scope="col" { "Email" } th scope="col" { "Name" } th scope="col" { "Providers" }
                    th scope="col" { "Status" } th scope="col" { "Actions" }
                } }
                tbody { @for user in &users.items { (row(user)) } }
            }
        }
        (more(&format!("/admin/users?{query}&"), users.next))
    }
}

fn row(user: &User) -> Markup {
    let address = user::address(&user.email);
    html! {
        tr {
            th scope="row" { a href=(address) { (user.email) } }
            td data-label="Name" { (user.label.as_deref().unwrap_or("–")) }
            td data-label="Providers" { (user.providers.join(", ")) }
            td data-label="Status" { (badge(user.status.name())) }
            td data-label="Actions" { (toggle(&format!("{address}/status"), user.status, &user.email)) }
        }
    }
}
