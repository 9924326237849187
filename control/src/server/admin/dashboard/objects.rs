//! The page with the list of objects, and the forms that give objects to a holder.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::change::form_page;
use super::fields::Fields;
use super::layout::{PageError, Place, alert, badge, may, page};
use super::list::{List, Pages};
use super::time;
use crate::registry::{Holder, HolderState, KeptObject, ObjectKey, ObjectListing, RegistryError};
use crate::server::admin::gate::{Operation, Permit, Reader, op};
use crate::server::admin::objects::Asked;
use crate::server::extract::Parameters;
use crate::server::problem::Problem;

const COLUMNS: [&str; 7] = ["Id", "Provider", "Kind", "Holder", "Team", "Holder is", "Created (UTC)"];

/// The transfers of one form, each of a bounded number of objects.
const MAX_TRANSFERS: usize = 50;

pub(super) async fn list(
    permit: Permit<op::ListObjects>,
    Parameters(asked): Parameters<Asked>,
) -> Result<Response, PageError> {
    answer(&permit, StatusCode::OK, asked, None, &Fields::default()).await
}

/// Gives objects that have no holder to one. Objects that have a holder keep it.
pub(super) async fn adopt(permit: Permit<op::AdoptObjects>, fields: Fields) -> Result<Response, PageError> {
    let adopt = async || {
        let provider = fields.text("provider").trim();
        let ids = fields.list("ids");
        let keys = ids.iter().map(|id| ObjectKey::new(provider, id)).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            let expected = "expected at least one".to_owned();
            return Err(RegistryError::Invalid { field: "ids", expected });
        }
        let holder = Holder::parse(fields.text("holder").trim())?;
        permit.adopt_objects(&keys, fields.some("kind").as_deref(), &holder).await?;
        Ok(holder)
    };
    let done = |holder: Holder| Redirect::to(&address_of(&holder)).into_response();
    form_page(adopt().await, done, async |problem| again(&permit, &problem, &fields).await).await
}

/// Gives all objects of a holder to another one.
pub(super) async fn transfer_all(
    permit: Permit<op::TransferObjects>,
    fields: Fields,
) -> Result<Response, PageError> {
    let transfer = async || {
        let holder = |name: &str| Holder::parse(fields.text(name).trim());
        let (from, to) = (holder("from")?, holder("to")?);
        if fields.text("sure") != "yes" {
            let expected = "tick the box: a transfer of all objects cannot be undone".to_owned();
            return Err(RegistryError::Invalid { field: "confirmation", expected });
        }
        for _ in 0..MAX_TRANSFERS {
            if !permit.transfer_objects(&from, &to).await?.more {
                return Ok(to);
            }
        }
        // The page of the old holder shows the rest, and the form again.
        Ok(from)
    };
    let done = |holder: Holder| Redirect::to(&address_of(&holder)).into_response();
    form_page(transfer().await, done, async |problem| again(&permit, &problem, &fields).await).await
}

async fn again(reader: &Reader, problem: &Problem, fields: &Fields) -> Result<Response, PageError> {
    answer(reader, problem.status(), Asked::default(), Some(problem.detail()), fields).await
}

/// Returns the path of the list of a holder's objects.
pub(super) fn address_of(holder: &Holder) -> String {
    format!("/admin/objects?holder={}", utf8_percent_encode(&holder.to_string(), NON_ALPHANUMERIC))
}

async fn answer(
    reader: &Reader,
    status: StatusCode,
    asked: Asked,
    message: Option<&str>,
    fields: &Fields,
) -> Result<Response, PageError> {
    let objects = reader.objects(&ObjectListing::try_from(asked.clone())?).await?;
    let query: [(&str, &str); 6] = [
        ("provider", asked.provider.as_str()),
        ("kind", &asked.kind),
        ("holder", &asked.holder),
        ("owner", &asked.owner),
        ("team", &asked.team),
        ("left", &asked.left),
    ];
    let list = List {
        names: ("object", "objects"),
        columns: &COLUMNS,
        rows: objects.items.iter().map(row).collect(),
        total: Some(objects.total),
        pages: Pages::continued("/admin/objects", query.to_vec(), asked.after.is_none(), objects.next),
        first_steps: None,
        live: status == StatusCode::OK,
    };
    let content = html! {
        p { "Files, batches, responses and other things that callers keep at providers. Each belongs to the token or the \
             person that made it." }
        (alert(message))
        @if may(Operation::AdoptObjects) {
            details .card open[message.is_some() && !fields.text("ids").is_empty()] {
                summary { "Adopt objects" }
                (adopt_form(fields))
            }
            details .card open[(message.is_some() && fields.text("ids").is_empty()) || !asked.holder.is_empty()] {
                summary { "Transfer all objects of a holder" }
                (transfer_form(&asked, fields))
            }
        }
        (filter(&asked))
        (list.markup())
    };
    Ok(page(status, Place::Objects, "Objects", &content))
}

fn adopt_form(fields: &Fields) -> Markup {
    html! {
        p { "What was made before Keyswap, or without it, belongs to no one. Objects that have a holder keep it." }
        form .grid method="post" action="/admin/objects" {
            label { "Provider" span .hint { "its name in your policy, such as openai" }
                input name="provider" autocomplete="off" maxlength="64" required value=(fields.text("provider")); }
            label { "Ids" span .hint { "separated by commas or spaces" }
                input name="ids" autocomplete="off" required value=(fields.text("ids")); }
            label { "Kind" span .hint { "such as file; for people only" }
                input name="kind" autocomplete="off" maxlength="64" value=(fields.text("kind")); }
            (holder_input("holder", "Holder", fields.text("holder")))
            div .actions { button .primary { "Adopt" } }
        }
    }
}

fn transfer_form(asked: &Asked, fields: &Fields) -> Markup {
    let from = Some(fields.text("from")).filter(|from| !from.is_empty()).unwrap_or(&asked.holder);
    html! {
        form .grid method="post" action="/admin/objects/transfer" {
            (holder_input("from", "From", from))
            (holder_input("to", "To", fields.text("to")))
            label .box { input type="checkbox" name="sure" value="yes" required;
                "The objects of both holders cannot be told apart afterwards." }
            div .actions { button .danger { "Transfer all" } }
        }
    }
}

/// Returns the input for a holder.
pub(super) fn holder_input(name: &str, label: &str, value: &str) -> Markup {
    html! {
        label { (label) span .hint { "token: with a SHA-256, or person: with an email address" }
            input name=(name) autocomplete="off" required pattern="(token:[0-9a-f]{64}|person:.+@.+)" value=(value); }
    }
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form .filter method="get" action="/admin/objects" role="search" {
            label { "Provider" input name="provider" autocomplete="off" value=(asked.provider); }
            label { "Kind" input name="kind" autocomplete="off" value=(asked.kind); }
            label { "Holder" input name="holder" autocomplete="off" value=(asked.holder); }
            label { "Owner" input name="owner" autocomplete="off" value=(asked.owner); }
            label { "Team" input name="team" autocomplete="off" value=(asked.team); }
            label { "Show"
                select name="left" {
                    option value="" { "all" }
                    option value="yes" selected[asked.left == "yes"] { "without an active holder" }
                }
            }
            button { "Show" }
        }
    }
}

fn row(object: &KeptObject) -> Markup {
    html! {
        tr class=[(object.holder != HolderState::Active).then_some("over")] {
            th .long scope="row" { a href={ "/admin/objects/" (object.digest.to_hex()) } { (object.id) } }
            td data-label="Provider" { (object.provider) }
            td data-label="Kind" { (object.kind) }
            td data-label="Holder" { (holder_link(object)) }
            td data-label="Team" { (object.team.as_deref().unwrap_or("–")) }
            td data-label="Holder is" { (badge(object.holder.name())) }
            td data-label="Created" { (time::shown(object.created_at)) }
        }
    }
}

/// Returns the link to the objects of an object's holder.
pub(super) fn holder_link(object: &KeptObject) -> Markup {
    let digits: String = object.principal.to_hex().chars().take(16).collect();
    html! {
        a href=(address_of(&Holder::Token(object.principal))) {
            @if object.label.is_empty() { code { (digits) } } @else { (object.label) }
        }
        @if let Some(owner) = object.owner.as_deref().filter(|owner| *owner != object.label) { " · " (owner) }
    }
}
