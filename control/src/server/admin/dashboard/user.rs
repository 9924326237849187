//! The page of one user, and its actions.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::change::{Change, form_page};
use super::layout::{PageError, Place, alert, badge, may, page, toggle_for};
use super::objects::address_of;
use super::{payer_address, provider, rate_limit, team};
use crate::registry::{Holder, Payer, RegistryError, User, UserPatch};
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::extract::Segment;
use crate::server::problem::Problem;

pub(super) async fn show(
    permit: Permit<op::ShowUser>,
    Segment(email): Segment,
) -> Result<Response, PageError> {
    Ok(answer(StatusCode::OK, &permit.user(&email).await?, None))
}

pub(super) async fn change(change: Change<op::ChangeUser, Segment>) -> Result<Response, PageError> {
    let fields = &change.fields;
    let patch = fields.rate_limit().map(|limit| UserPatch {
        label: Some(fields.text("label").to_owned()),
        team: Some(fields.some("team")),
        providers: Some(provider::providers(fields)),
        models: Some(fields.list("models")),
        rate_limit: Some(limit),
        ..UserPatch::default()
    });
    update(&change, patch).await
}

pub(super) async fn set_status(change: Change<op::ChangeUser, Segment>) -> Result<Response, PageError> {
    let patch = UserPatch { status: Some(change.fields.status()), ..UserPatch::default() };
    update(&change, Ok(patch)).await
}

pub(super) async fn delete(
    permit: Permit<op::DeleteUser>,
    Segment(email): Segment,
) -> Result<Response, PageError> {
    permit.delete_user(&email).await?;
    Ok(Redirect::to("/admin/users").into_response())
}

/// Redirects to the user's page, or answers with the page and the problem.
async fn update(
    change: &Change<op::ChangeUser, Segment>,
    patch: Result<UserPatch, RegistryError>,
) -> Result<Response, PageError> {
    let (permit, Segment(email)) = (&change.permit, &change.subject);
    let updated = match patch {
        Ok(patch) => permit.update_user(email, patch).await,
        Err(error) => Err(error),
    };
    let done = |user: User| Redirect::to(&address(&user.email)).into_response();
    form_page(updated, done, async |problem: Problem| {
        let user = permit.user(email).await?;
        Ok(answer(problem.status(), &user, Some(problem.detail())))
    })
    .await
}

/// Returns the path of a user's page.
pub(super) fn address(email: &str) -> String {
    format!("/admin/users/{}", utf8_percent_encode(email, NON_ALPHANUMERIC))
}

fn answer(status: StatusCode, user: &User, message: Option<&str>) -> Response {
    let address = address(&user.email);
    let rate_limit = rate_limit::texts(user.rate_limit);
    let content = html! {
        p { a href="/admin/users" { "← All users" } }
        (alert(message))
        section .card {
            p { (badge(user.status.name())) }
            (toggle_for(Operation::ChangeUser, &format!("{address}/status"), user.status, &user.email))
            p { a href=(payer_address::address(&Payer::Owner(user.email.clone()))) { "Usage and budget" } }
            p { a href=(address_of(&Holder::Person(user.email.clone()))) { "What the user holds at providers" } }
        }
        @if may(Operation::ChangeUser) {
            section .card {
                h2 { "Rights" }
                form .grid method="post" action=(address) {
                    label { "Name" input name="label" autocomplete="off" value=(user.label.as_deref().unwrap_or_default()); }
                    (team::input(user.team.as_deref().unwrap_or_default()))
                    (provider::inputs(&user.providers, &user.models))
                    (rate_limit::inputs(rate_limit.each_ref().map(String::as_str)))
                    div .actions { button .primary { "Save" } }
                }
            }
        }
        @if may(Operation::DeleteUser) {
            section .card {
                h2 { "Deletion" }
                details {
                    summary { "Delete this user…" }
                    p { "Requests of the user are refused. What the user holds at providers stays, and can be transferred." }
                    form method="post" action={ (address) "/delete" } { button .danger { "Delete permanently" } }
                }
            }
        }
    };
    page(status, Place::Users, &user.email, &content)
}
