//! Sign-in by an `OpenID` provider: the browser's way there, and its way back.
//!
//! An answer counts as a try of its client, apart from tries with the password: neither sign-in gives tries of the other back,
//! or shuts it out. An answer is taken once, and only from the browser that began. Each sign-in is in the audit log, and so is each
//! failed one, without an author.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::Url;

use super::session;
use super::state::AdminState;
use crate::registry::{Actor, RegistryError, now};
use crate::server::admin::client::Client;
use crate::server::oidc::{Flow, Oidc, Returned, SignedIn};
use crate::server::problem::Problem;

const COOKIE: &str = "keyswap_sign_in";

/// Begins a sign-in. Returns the `Set-Cookie` that binds it to the browser, and the URL of the provider.
pub(in crate::server::admin) async fn begin(
    state: &AdminState,
    client: &Client,
) -> Result<(HeaderValue, Url), Problem> {
    let flow = Flow::begin(now())?;
    let url = provider(state)?.authorization(&flow).await?;
    Ok((set_cookie(flow.cookie(), Flow::LIFETIME_SECONDS, client)?, url))
}

/// Returns the `Set-Cookie` that ends a sign-in, whatever became of it.
pub(in crate::server::admin) fn ended(client: &Client) -> Result<HeaderValue, Problem> {
    Ok(set_cookie("", 0, client)?)
}

/// Signs the person in that comes back from the provider, unless it is a disabled user. Returns the `Set-Cookie` of the session.
pub(in crate::server::admin) async fn finish(
    state: &AdminState,
    client: &Client,
    headers: &HeaderMap,
    returned: Returned,
) -> Result<HeaderValue, Problem> {
    let (registry, oidc, name) = (state.registry(), provider(state)?, client.name());
    let flow = session::cookie(headers, COOKIE).and_then(|cookie| Flow::read(cookie, now()));
    // Nothing is stored or asked for a request that no browser of a sign-in sends.
    let flow = flow.ok_or_else(Oidc::not_begun)?;
    let code = oidc.code(&flow, returned).await?;
    let tries = format!("provider {name}");
    if registry.count_try(&tries).await?.is_some() {
        let detail = "too many attempts: wait a minute";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", detail));
    }
    if !registry.end_sign_in(&flow.id(), Flow::LIFETIME_SECONDS).await? {
        return Err(Oidc::not_begun());
    }
    let signed_in = match oidc.sign_in(&flow, &code).await {
        Ok(person) => {
            let SignedIn { name, role } = &person;
            let begun = session::begin_for(registry, client, name, role, oidc.settings()).await?;
            begun.map(|cookie| (person, cookie)).ok_or_else(Oidc::disabled)
        }
        Err(problem) => Err(problem),
    };
    let (SignedIn { name: person, role }, cookie) = match signed_in {
        Ok(signed_in) => signed_in,
        Err(problem) => {
            registry.note(&Actor::unknown(), "admin.sign_in_failed", &name).await?;
            return Err(problem);
        }
    };
    registry.forget_tries(&tries).await?;
    registry.note(&Actor::within(&person, role.reach()), "admin.sign_in", &name).await?;
    Ok(cookie)
}

fn provider(state: &AdminState) -> Result<&Oidc, Problem> {
    let detail = "no provider is configured";
    state.options().oidc.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "not_found", detail))
}

/// Returns the cookie of a sign-in. It comes back with a navigation from the provider's site, so it is `Lax`.
fn set_cookie(value: &str, seconds: u32, client: &Client) -> Result<HeaderValue, RegistryError> {
    session::set_cookie(COOKIE, value, "/admin/sign-in/provider", seconds, "Lax", client)
}
