//! The sign-in page, and signing out.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::fields::Fields;
use super::layout::{PageError, Place, alert, page, page_with};
use crate::registry::SecretText;
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, Means, Permit, Try, attempt, op};

pub(super) async fn form(Extract(state): Extract<AdminState>) -> Response {
    answer(&state, StatusCode::OK, None)
}

pub(super) async fn sign_in(
    Extract(state): Extract<AdminState>,
    client: Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, PageError> {
    let password = SecretText::new(fields.text("password").to_owned());
    Ok(match attempt(&state, &client, &headers, password).await? {
        Try::Right(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/admin")).into_response(),
        Try::Wrong => answer(&state, StatusCode::UNAUTHORIZED, Some("the password is wrong")),
        Try::TooMany(seconds) => {
            let message = format!("too many attempts; wait {seconds} seconds");
            let retry = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
            (retry, answer(&state, StatusCode::TOO_MANY_REQUESTS, Some(&message))).into_response()
        }
    })
}

pub(super) async fn sign_out(
    permit: Permit<op::SignOut>,
    Extract(state): Extract<AdminState>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let cookie = permit.sign_out(&headers, &client).await?;
    let next = match permit.person().means() {
        Means::Access => at_access(),
        Means::Provider => at_provider(&state).await,
        Means::Password | Means::Key => home(),
    };
    Ok(([(header::SET_COOKIE, cookie)], next).into_response())
}

fn home() -> Response {
    Redirect::to("/admin/sign-in").into_response()
}

/// Returns the page that leads to the sign-out at the provider, since a form may not lead to another host. Where the provider has
/// none, the sign-out here is all.
async fn at_provider(state: &AdminState) -> Response {
    let Some(provider) = &state.options().oidc else { return home() };
    let Some(url) = provider.end_session().await else { return home() };
    let onward = format!("0; url={url}");
    let content = html! {
        p { "You are signed out here." }
        p { a .button href=(url) { "Sign out at " (provider.name()) } }
    };
    page_with(StatusCode::OK, Place::Outside, "Sign out", Some(("refresh", &onward)), &content)
}

/// Returns the page for signing out of Cloudflare Access. Its link may lead to another host, which `form-action`
/// forbids to forms.
fn at_access() -> Response {
    let content = html! {
        p { "You signed in with Cloudflare Access. You stay signed in until you sign out there." }
        p { a href="/cdn-cgi/access/logout" { "Sign out of Cloudflare Access" } }
    };
    page(StatusCode::OK, Place::Outside, "Sign out", &content)
}

fn answer(state: &AdminState, status: StatusCode, message: Option<&str>) -> Response {
    let content = html! {
        @if let Some(provider) = &state.options().oidc {
            p .card.narrow { a .button.primary href="/admin/sign-in/provider" { "Sign in with " (provider.name()) } }
        }
        form .card.narrow method="post" action="/admin/sign-in" {
            (alert(message))
            label { "Administrator's password"
                input type="password" name="password" autocomplete="current-password" required autofocus; }
            button .primary { "Sign in" }
        }
    };
    page(status, Place::Outside, "Sign in", &content)
}
