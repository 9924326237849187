//! The page of one object, and its actions.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::change::{Change, form_page};
use super::layout::{PageError, Place, alert, badge, may, page};
use super::objects::{holder_input, holder_link};
use super::time;
use crate::registry::{Holder, HolderState, KeptObject};
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::digest::DigestSegment;
use crate::server::problem::Problem;

pub(super) async fn show(
    permit: Permit<op::ShowObject>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    Ok(answer(StatusCode::OK, &permit.object(&digest).await?, None, ""))
}

pub(super) async fn transfer(
    change: Change<op::TransferObjects, DigestSegment>,
) -> Result<Response, PageError> {
    let (permit, DigestSegment(digest)) = (&change.permit, &change.subject);
    let to = change.fields.text("to").trim();
    let given = match Holder::parse(to) {
        Ok(holder) => permit.transfer_object(digest, &holder).await,
        Err(error) => Err(error),
    };
    let done = |object: KeptObject| Redirect::to(&address(&object)).into_response();
    form_page(given, done, async |problem: Problem| {
        Ok(answer(problem.status(), &permit.object(digest).await?, Some(problem.detail()), to))
    })
    .await
}

pub(super) async fn forget(
    permit: Permit<op::ForgetObject>,
    DigestSegment(digest): DigestSegment,
) -> Result<Response, PageError> {
    permit.forget_object(&digest).await?;
    Ok(Redirect::to("/admin/objects").into_response())
}

fn address(object: &KeptObject) -> String {
    format!("/admin/objects/{}", object.digest.to_hex())
}

fn answer(status: StatusCode, object: &KeptObject, message: Option<&str>, to: &str) -> Response {
    let address = address(object);
    let content = html! {
        p { a href="/admin/objects" { "← All objects" } }
        (alert(message))
        dl .card.facts {
            dt { "Id" } dd { code { (object.id) } }
            dt { "Provider" } dd { (object.provider) }
            dt { "Kind" } dd { (object.kind) }
            dt { "Holder" } dd { (holder_link(object)) " " (badge(object.holder.name())) }
            dt { "Principal" } dd { code { (object.principal.to_hex()) } }
            dt { "Team" } dd { (object.team.as_deref().unwrap_or("none")) }
            dt { "Created" } dd { (time::shown(object.created_at)) }
            dt { "Expires" } dd { @if let Some(at) = object.expires_at { (time::shown(at)) } @else { "unknown" } }
            dt { "SHA-256" } dd { code { (object.digest.to_hex()) } }
        }
        @if may(Operation::TransferObjects) {
            div .columns {
                section .card {
                    h2 { "Transfer" }
                    p {
                        @if object.holder == HolderState::Active { "Gives the object to another token or person." }
                        @else { "The registry knows no active token or person that holds the object: give it to one." }
                    }
                    form method="post" action={ (address) "/transfer" } {
                        (holder_input("to", "To", to))
                        div .actions { button { "Transfer" } }
                    }
                }
                section .card {
                    h2 { "Forget" }
                    details {
                        summary { "Forget this object…" }
                        p { "It belongs to no one from then on, until it is adopted. The provider keeps it." }
                        form method="post" action={ (address) "/forget" } { button .danger { "Forget" } }
                    }
                }
            }
        }
    };
    page(status, Place::Objects, &object.name(), &content)
}
