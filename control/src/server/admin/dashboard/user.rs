//! One user, and what can be changed of them.

use std::fmt::Write as _;

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::fields::Fields;
use super::layout::{Failure, Place, alert, badge, page, toggle};
use super::{provider, rate_limit};
use crate::registry::{Actor, RegistryError, User, UserPatch};
use crate::server::extract::Segment;
use crate::server::problem::Problem;
use crate::server::state::State;

pub(super) async fn show(
    Extract(state): Extract<State>,
    Segment(email): Segment,
) -> Result<Response, Failure> {
    Ok(answer(StatusCode::OK, &state.registry().user(&email).await?, None))
}

pub(super) async fn change(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(email): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let patch = fields.rate_limit().map(|limit| UserPatch {
        label: Some(fields.text("label").to_owned()),
        providers: Some(provider::providers(&fields)),
        models: Some(fields.list("models")),
        rate_limit: Some(limit),
        ..UserPatch::default()
    });
    update(&state, &actor, &email, patch).await
}

pub(super) async fn set_status(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(email): Segment,
    fields: Fields,
) -> Result<Response, Failure> {
    let patch = UserPatch { status: Some(fields.status()), ..UserPatch::default() };
    update(&state, &actor, &email, Ok(patch)).await
}

pub(super) async fn delete(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    Segment(email): Segment,
) -> Result<Response, Failure> {
    state.registry().delete_user(&email, &actor).await?;
    Ok(Redirect::to("/admin/users").into_response())
}

async fn update(
    state: &State,
    actor: &Actor,
    email: &str,
    patch: Result<UserPatch, RegistryError>,
) -> Result<Response, Failure> {
    let update = async |patch| state.registry().update_user(email, patch, actor).await;
    let done = match patch {
        Ok(patch) => update(patch).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(user) => Ok(Redirect::to(&address(&user.email)).into_response()),
        Err(error) => {
            let user = state.registry().user(email).await?;
            let problem = Problem::from(error);
            Ok(answer(problem.status(), &user, Some(problem.detail())))
        }
    }
}

/// The address of a user's page.
pub(super) fn address(email: &str) -> String {
    let mut address = "/admin/users/".to_owned();
    for byte in email.bytes() {
        if byte.is_ascii_alphanumeric() {
            address.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(address, "%{byte:02X}");
        }
    }
    address
}

fn answer(status: StatusCode, user: &User, message: Option<&str>) -> Response {
    let address = address(&user.email);
    let (requests, per) = rate_limit::texts(user.rate_limit);
    let content = html! {
        p { a href="/admin/users" { "← All users" } }
        (alert(message))
        section .card {
            p { (badge(user.status.name())) }
            (toggle(&format!("{address}/status"), user.status, &user.email))
        }
        section .card {
            h2 { "What the user may call" }
            form .grid method="post" action=(address) {
                label { "Name" input name="label" autocomplete="off" value=(user.label.as_deref().unwrap_or_default()); }
                (provider::inputs(&user.providers, &user.models))
                (rate_limit::inputs((&requests, &per)))
                div .actions { button .primary { "Save" } }
            }
        }
        section .card {
            h2 { "Deletion" }
            details {
                summary { "Delete this user…" }
                p { "The user is refused from then on." }
                form method="post" action={ (address) "/delete" } { button .danger { "Delete for good" } }
            }
        }
    };
    page(status, Place::Users, &user.email, &content)
}
