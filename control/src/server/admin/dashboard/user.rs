//! The page of one user, and its actions.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::addresses::{of_owner, of_user};
use super::change::{Change, form_page};
use super::fields::version_input;
use super::history::{SHOWN, history};
use super::layout::{PageError, Place, alert, badge, may, page, toggle_for};
use super::objects::address_of;
use super::{payer_address, provider, rate_limit, sessions, team};
use crate::registry::{Holder, Payer, RegistryError, User, UserPatch};
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::extract::Segment;
use crate::server::problem::Problem;

pub(super) async fn show(
    permit: Permit<op::ShowUser>,
    Segment(email): Segment,
) -> Result<Response, PageError> {
    let user = permit.user(&email).await?;
    answer(&permit, StatusCode::OK, &user, None).await
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

pub(super) async fn undo(change: Change<op::ChangeUser, Segment>) -> Result<Response, PageError> {
    let (permit, Segment(email)) = (&change.permit, &change.subject);
    let undone = match change.fields.text("entry").parse() {
        Ok(entry) => permit.undo_user(email, entry).await,
        Err(_) => Err(RegistryError::NotUndoable),
    };
    to_user(&change, undone).await
}

pub(super) async fn delete(
    permit: Permit<op::DeleteUser>,
    Segment(email): Segment,
) -> Result<Response, PageError> {
    permit.delete_user(&email).await?;
    Ok(Redirect::to("/admin/users").into_response())
}

/// Applies a patch. If the form names a version, a user that was changed since is left as it is.
async fn update(
    change: &Change<op::ChangeUser, Segment>,
    patch: Result<UserPatch, RegistryError>,
) -> Result<Response, PageError> {
    let (permit, Segment(email)) = (&change.permit, &change.subject);
    let updated = match patch {
        Ok(patch) => {
            let patch = UserPatch { version: change.fields.version(), ..patch };
            permit.update_user(email, patch).await
        }
        Err(error) => Err(error),
    };
    to_user(change, updated).await
}

/// Redirects to the user's page, or answers with the page and the problem.
async fn to_user(
    change: &Change<op::ChangeUser, Segment>,
    updated: Result<User, RegistryError>,
) -> Result<Response, PageError> {
    let done = |user: User| Redirect::to(&of_user(&user.email)).into_response();
    form_page(updated, done, async |problem: Problem| {
        let user = change.permit.user(&change.subject.0).await?;
        answer(&change.permit, problem.status(), &user, Some(problem.detail())).await
    })
    .await
}

async fn answer<O>(
    permit: &Permit<O>,
    status: StatusCode,
    user: &User,
    message: Option<&str>,
) -> Result<Response, PageError> {
    let address = of_user(&user.email);
    let rate_limit = rate_limit::texts(user.rate_limit);
    let changes = permit.changes_of_user(user, SHOWN).await?;
    let sessions = permit.sessions(&user.email).await?;
    let content = html! {
        p { a href="/admin/users" { "← All users" } }
        (alert(message))
        section .card {
            p { (badge(user.status.name())) }
            (toggle_for(Operation::ChangeUser, &format!("{address}/status"), user.status, &user.email))
            p { a href=(payer_address::address(&Payer::Owner(user.email.clone()))) { "Usage and budget" } }
            p { a href=(address_of(&Holder::Person(user.email.clone()))) { "What the user holds at providers" } }
            p { a href=(of_owner(&user.email)) { "Tokens of the user" @if may(Operation::Offboard) { ", and offboarding" } } }
        }
        @if may(Operation::ChangeUser) {
            section .card {
                h2 { "Rights" }
                form .grid method="post" action=(address) {
                    (version_input(user.version))
                    label { "Name" input name="label" autocomplete="off" value=(user.label.as_deref().unwrap_or_default()); }
                    (team::input(user.team.as_deref().unwrap_or_default()))
                    (provider::inputs(&user.providers, &user.models))
                    (rate_limit::inputs(rate_limit.each_ref().map(String::as_str)))
                    div .actions { button .primary { "Save" } }
                }
            }
        }
        @if !sessions.is_empty() {
            section .card { h2 { "Sessions on devices" } (sessions::list(&sessions)) }
        }
        @if may(Operation::DeleteUser) {
            section .card {
                h2 { "Deletion" }
                details {
                    summary { "Delete this user…" }
                    p { "Requests of the user are refused. Deletion cannot be undone. What the user holds at providers stays, and can be transferred." }
                    form method="post" action={ (address) "/delete" } { button .danger { "Delete permanently" } }
                }
            }
        }
        (history(&changes, &user.email, &address, Operation::ChangeUser))
    };
    Ok(page(status, Place::Users, &user.email, &content))
}
