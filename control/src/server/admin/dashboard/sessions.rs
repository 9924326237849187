//! The page on which a person signs a device in, and ends the sessions on devices.
//!
//! The person types the code that the device shows, and compares what is known of the device. The code is in forms only: a link of
//! another site fills in nothing (RFC 8628 section 5.4).

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};

use super::change::form_page;
use super::fields::Fields;
use super::layout::{PageError, Place, alert, may, page};
use super::list::table;
use super::time;
use crate::registry::{Device, Session};
use crate::server::admin::gate::{Operation, Permit, op};
use crate::server::extract::Segment;
use crate::server::problem::Problem;

/// The path of the page.
const PAGE: &str = "/admin/sessions";

pub(super) async fn show(permit: Permit<op::ListSessions>) -> Result<Response, PageError> {
    answer(&permit, StatusCode::OK, None).await
}

/// Shows the device that waits with a code.
pub(super) async fn find(permit: Permit<op::BeginSession>, fields: Fields) -> Result<Response, PageError> {
    let (code, Some(email)) = (fields.text("code"), permit.person().email()) else {
        return answer(&permit, StatusCode::FORBIDDEN, Some(NO_ADDRESS)).await;
    };
    match permit.waiting_device(code).await {
        Ok(device) => {
            Ok(page(StatusCode::OK, Place::Sessions, "Sign in a device", &question(&device, code, email)))
        }
        Err(problem) => answer(&permit, problem.status(), Some(problem.detail())).await,
    }
}

/// Takes the decision about a device.
pub(super) async fn decide(permit: Permit<op::BeginSession>, fields: Fields) -> Result<Response, PageError> {
    let is_approved = fields.text("decision") == "approve";
    let decided = match permit.person().email() {
        Some(email) => permit.decide_device(fields.text("code"), email, is_approved).await,
        None => Err(Problem::new(StatusCode::FORBIDDEN, "no_address", NO_ADDRESS)),
    };
    match decided {
        Ok(()) => {
            let text = if is_approved { "The device is signed in." } else { "The device is refused." };
            let content =
                html! { p { (text) " You can close this page." } p { a href=(PAGE) { "Your sessions" } } };
            Ok(page(StatusCode::OK, Place::Sessions, "Sign in a device", &content))
        }
        Err(problem) => answer(&permit, problem.status(), Some(problem.detail())).await,
    }
}

pub(super) async fn end(
    permit: Permit<op::EndSession>,
    Segment(sid): Segment,
) -> Result<Response, PageError> {
    let ended = permit.end_device_session(&sid).await;
    let done = |()| Redirect::to(PAGE).into_response();
    form_page(ended, done, async |problem: Problem| {
        answer(&permit, problem.status(), Some(problem.detail())).await
    })
    .await
}

const NO_ADDRESS: &str = "you are signed in without an email address: sign in under your own name";

async fn answer<O>(
    permit: &Permit<O>,
    status: StatusCode,
    message: Option<&str>,
) -> Result<Response, PageError> {
    let sessions = permit.own_sessions().await?;
    let email = permit.person().email();
    let content = html! {
        (alert(message))
        @if let Some(email) = email {
            form .card.narrow method="post" action=(PAGE) {
                label { "Code on the device" span .hint { "it acts as " (email) " at the providers" }
                    input name="code" autocomplete="off" autocapitalize="characters" spellcheck="false" required maxlength="16" placeholder="BCDF-GHJK"; }
                button .primary { "Continue" }
            }
        } @else {
            p { "Devices are signed in by people: " (NO_ADDRESS) "." }
        }
        section { h2 { "Your sessions" } (list(&sessions)) }
    };
    Ok(page(status, Place::Sessions, "Sessions", &content))
}

/// Returns the question about a device. Name and address are those of the device, so they are shown as its own words.
fn question(device: &Device, code: &str, email: &str) -> Markup {
    html! {
        form .card.narrow method="post" action={ (PAGE) "/device" } {
            p { "A device asks to send requests to the providers as " strong { (email) } "." }
            dl {
                dt { "It calls itself" } dd { @if device.name.is_empty() { "–" } @else { code { (device.name) } } }
                dt { "It asked from" } dd { code { (device.address) } }
                dt { "It asked at (UTC)" } dd { (time::shown(device.created_at)) }
            }
            p { "Did you start this yourself, on a device before you? If someone sent you the code, refuse." }
            input type="hidden" name="code" value=(code);
            div .actions {
                button .primary name="decision" value="approve" { "Sign the device in" }
                button .danger name="decision" value="refuse" { "Refuse" }
            }
        }
    }
}

/// Returns the sessions as a table, each with a button that ends it.
pub(super) fn list(sessions: &[Session]) -> Markup {
    if sessions.is_empty() {
        return html! { p { "None." } };
    }
    let rows: Vec<Markup> = sessions.iter().map(row).collect();
    table(&["Device", "From", "Signed in (UTC)", "Last refresh (UTC)", "Ends (UTC)", "Actions"], &rows)
}

fn row(session: &Session) -> Markup {
    html! {
        tr {
            th scope="row" { (session.name) }
            td data-label="From" { (session.address) }
            td data-label="Signed in (UTC)" { (time::shown(session.created_at)) }
            td data-label="Last refresh (UTC)" { (time::shown(session.refreshed_at)) }
            td data-label="Ends (UTC)" { (time::shown(session.expires_at)) }
            td data-label="Actions" {
                @if may(Operation::EndSession) {
                    form method="post" action={ (PAGE) "/" (session.sid) "/end" } {
                        button aria-label={ "End the session of " (session.name) } { "End" }
                    }
                } @else { "–" }
            }
        }
    }
}
