//! The way to the `OpenID` provider and back.

use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::layout::{PageError, Place, alert, page, page_with};
use crate::server::admin::client::Client;
use crate::server::admin::gate::{AdminState, begin, ended, finish};
use crate::server::extract::Parameters;
use crate::server::oidc::Returned;
use crate::server::problem::Problem;

/// The element that leads to the dashboard. The session's cookie is `Strict`: it goes with a navigation that this page begins,
/// not with a redirect from the provider.
const ONWARD: (&str, &str) = ("refresh", "0; url=/admin");

/// Sends the browser to the provider.
pub(super) async fn leave(
    Extract(state): Extract<AdminState>,
    client: Client,
) -> Result<Response, PageError> {
    let (cookie, url) = begin(&state, &client).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(url.as_str())).into_response())
}

/// Answers the browser that comes back.
pub(super) async fn come_back(
    Extract(state): Extract<AdminState>,
    client: Client,
    headers: HeaderMap,
    returned: Result<Parameters<Returned>, Problem>,
) -> Result<Response, PageError> {
    let finished = match returned {
        Ok(Parameters(returned)) => finish(&state, &client, &headers, returned).await,
        Err(problem) => Err(problem),
    };
    let (session, mut response) = match finished {
        Ok(session) => {
            let content = html! { p { a .button href="/admin" { "To the dashboard" } } };
            let response = page_with(StatusCode::OK, Place::Outside, "Signed in", Some(ONWARD), &content);
            (Some(session), response)
        }
        Err(problem) => {
            let content = html! {
                (alert(Some(problem.detail())))
                p { a .button href="/admin/sign-in" { "Begin again" } }
            };
            (None, page(problem.status(), Place::Outside, "Sign in", &content))
        }
    };
    let cookies = response.headers_mut();
    cookies.append(header::SET_COOKIE, ended(&client)?);
    if let Some(session) = session {
        cookies.append(header::SET_COOKIE, session);
    }
    Ok(response)
}
