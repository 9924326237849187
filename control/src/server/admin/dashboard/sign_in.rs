//! The sign-in page, and signing out.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::fields::Fields;
use super::layout::{PageError, Place, alert, page};
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
    client: Client,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let cookie = permit.sign_out(&headers, &client).await?;
    let is_by_access = permit.person().means() == Means::Access;
    let next = if is_by_access { farewell() } else { Redirect::to("/admin/sign-in").into_response() };
    Ok(([(header::SET_COOKIE, cookie)], next).into_response())
}

/// Returns the page for signing out of Cloudflare Access. Its link may lead to another host, which `form-action`
/// forbids to forms.
fn farewell() -> Response {
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
