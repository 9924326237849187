//! The layout of all pages, and the page of an error.

use std::fmt;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::head;
use crate::registry::{RegistryError, RoleName, Status};
use crate::server::admin::gate::{Operation, Person, viewer};
use crate::server::problem::Problem;

/// The place of a page in the navigation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Tokens,
    Users,
    Sessions,
    Usage,
    Objects,
    Policies,
    Credentials,
    ApiKeys,
    Audit,
    /// A page outside of the navigation: the sign-in, and errors.
    Outside,
}

const PLACES: [(Place, &str, &str, Operation); 10] = [
    (Place::Overview, "/admin", "Overview", Operation::ListTokens),
    (Place::Tokens, "/admin/tokens", "Tokens", Operation::ListTokens),
    (Place::Users, "/admin/users", "Users", Operation::ListUsers),
    (Place::Sessions, "/admin/sessions", "Sessions", Operation::BeginSession),
    (Place::Usage, "/admin/usage", "Usage", Operation::ReadUsage),
    (Place::Objects, "/admin/objects", "Objects", Operation::ListObjects),
    (Place::Policies, "/admin/policies", "Policies", Operation::ListPolicies),
    (Place::Credentials, "/admin/credentials", "Credentials", Operation::ListCredentials),
    (Place::ApiKeys, "/admin/api-keys", "API keys", Operation::ListApiKeys),
    (Place::Audit, "/admin/audit", "Audit log", Operation::ReadAudit),
];

/// Returns a page as a response.
pub(super) fn page(status: StatusCode, place: Place, title: &str, content: &Markup) -> Response {
    page_with(status, place, title, None, content)
}

/// Returns a page with an instruction to the browser in its head: a name of `http-equiv`, and the content.
pub(super) fn page_with(
    status: StatusCode,
    place: Place,
    title: &str,
    instruction: Option<(&str, &str)>,
    content: &Markup,
) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some((name, content)) = instruction { meta http-equiv=(name) content=(content); }
                title { (title) " · Keyswap" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/admin/style.css";
                script src="/admin/script.js" defer {}
            }
            body {
                a .skip href="#content" { "Skip to the content" }
                header .top {
                    div .bar {
                        span .brand { span .mark aria-hidden="true" { "⇄" } "Keyswap" }
                        @if place != Place::Outside { (head::marks()) (navigation(place)) }
                    }
                }
                main #content tabindex="-1" { h1 { (title) } (content) }
            }
        }
    };
    (status, Html(document.into_string())).into_response()
}

fn navigation(place: Place) -> Markup {
    html! {
        nav aria-label="Main" {
            @for (at, address, name, _) in PLACES.into_iter().filter(|(at, .., operation)| is_shown(*at, *operation)) {
                a href=(address) aria-current=[(at == place).then_some("page")] { (name) }
            }
        }
        @if let Some(person) = viewer() {
            span .person title={ "You are " (person.role()) } { (person.name()) " · " (role_word(&person)) }
        }
        form .sign-out method="post" action="/admin/sign-out" { button .quiet { "Sign out" } }
    }
}

/// Returns true if the navigation leads to a place. Without sessions there is none to show.
fn is_shown(place: Place, operation: Operation) -> bool {
    may(operation) && (place != Place::Sessions || head::has_sessions())
}

/// Returns true if the page is for a person that may carry out an operation. The server refuses it to others anyway.
pub(super) fn may(operation: Operation) -> bool {
    viewer().is_some_and(|person| person.may(operation))
}

/// Returns true if the page is for a person that administers its own tokens only, without changing their rights.
pub(super) fn is_self_service() -> bool {
    viewer().is_some_and(|person| person.role().name() == RoleName::SelfService)
}

fn role_word(person: &Person) -> &'static str {
    match person.role().name() {
        RoleName::Admin => "administrator",
        RoleName::Auditor => "auditor",
        RoleName::TeamOwner => "team owner",
        RoleName::SelfService => "self-service",
    }
}

/// Returns an error message, nothing for `None`.
pub(super) fn alert(message: Option<&str>) -> Markup {
    html! {
        @if let Some(message) = message {
            div .alert role="alert" { strong { "Failed: " } (message) "." }
        }
    }
}

/// Returns a status as a badge.
pub(super) fn badge(word: &str) -> Markup {
    html! { span class={ "badge " (word) } { (word) } }
}

/// Returns the button that disables an active subject, or enables a disabled one. It is for people that may carry out the
/// operation; a person's own tokens are only disabled.
pub(super) fn toggle_for(operation: Operation, action: &str, status: Status, name: &str) -> Markup {
    let is_offered = may(operation) && !(is_self_service() && status == Status::Disabled);
    if is_offered { toggle(action, status, name) } else { Markup::default() }
}

fn toggle(action: &str, status: Status, name: &str) -> Markup {
    let (value, word) = match status {
        Status::Active => ("disabled", "Disable"),
        Status::Disabled => ("active", "Enable"),
    };
    html! {
        form method="post" action=(action) {
            button name="status" value=(value) aria-label={ (word) " " (name) } { (word) }
        }
    }
}

/// A failed request for a page. The error is answered as a page.
#[derive(Debug)]
pub(super) struct PageError(Problem);

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for PageError {}

impl From<Problem> for PageError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<RegistryError> for PageError {
    fn from(error: RegistryError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let content = html! {
            (alert(Some(self.0.detail())))
            p { a href="/admin" { "Back to the overview" } }
        };
        page(self.0.status(), Place::Outside, "Request failed", &content)
    }
}
