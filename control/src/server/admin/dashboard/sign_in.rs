//! The sign-in page, and signing out.

use axum::Extension;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::fields::Fields;
use super::layout::{PageError, Place, alert, page};
use crate::registry::{Actor, SecretText};
use crate::server::admin::administrator::by_password;
use crate::server::admin::client::Client;
use crate::server::admin::sign_in::{Try, attempt, leave};
use crate::server::state::State;

pub(super) async fn form() -> Response {
    answer(StatusCode::OK, None)
}

pub(super) async fn sign_in(
    Extract(state): Extract<State>,
    client: Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, PageError> {
    let password = SecretText::new(fields.text("password").to_owned());
    Ok(match attempt(&state, &client, &headers, password).await? {
        Try::Right(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/admin")).into_response(),
        Try::Wrong => answer(StatusCode::UNAUTHORIZED, Some("the password is wrong")),
        Try::TooMany(seconds) => {
            let message = format!("too many attempts; wait {seconds} seconds");
            let retry = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
            (retry, answer(StatusCode::TOO_MANY_REQUESTS, Some(&message))).into_response()
        }
    })
}

pub(super) async fn sign_out(
    Extract(state): Extract<State>,
    Extension(actor): Extension<Actor>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let cookie = leave(state.registry(), &actor, &client, &headers).await?;
    let next =
        if actor == by_password() { Redirect::to("/admin/sign-in").into_response() } else { farewell() };
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

fn answer(status: StatusCode, message: Option<&str>) -> Response {
    let content = html! {
        form .card.narrow method="post" action="/admin/sign-in" {
            (alert(message))
            label { "Administrator's password"
                input type="password" name="password" autocomplete="current-password" required autofocus; }
            button .primary { "Sign in" }
        }
    };
    page(status, Place::Outside, "Sign in", &content)
}
