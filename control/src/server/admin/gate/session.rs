//! Sessions: a cookie with a random secret, whose SHA-256 is in the database.

use axum::http::{HeaderMap, HeaderValue, header};
use keyswap_core::base::Digest;

use super::person::{Means, Person};
use super::state::AdminState;
use crate::registry::{AdminRole, Registry, RegistryError, SecretText};
use crate::server::admin::client::Client;

const COOKIE: &str = "keyswap_session";

/// The lifetime of a session: one day.
const LIFETIME_SECONDS: u32 = 86_400;

/// Starts a session of the administrator with the password, and returns its `Set-Cookie`.
pub(super) async fn begin(registry: &Registry, client: &Client) -> Result<HeaderValue, RegistryError> {
    let secret = SecretText::random()?;
    registry.begin_session(&Digest::of(secret.expose().as_bytes()), LIFETIME_SECONDS).await?;
    of_session(secret.expose(), LIFETIME_SECONDS, client)
}

/// Starts a session of a person, and returns its `Set-Cookie`, `None` if the person is a disabled user. `settings` is the digest of those
/// under which the role was given.
pub(super) async fn begin_for(
    registry: &Registry,
    client: &Client,
    person: &str,
    role: &AdminRole,
    settings: &Digest,
) -> Result<Option<HeaderValue>, RegistryError> {
    let secret = SecretText::random()?;
    let id = Digest::of(secret.expose().as_bytes());
    if !registry.begin_person_session(&id, person, role, settings, LIFETIME_SECONDS).await? {
        return Ok(None);
    }
    of_session(secret.expose(), LIFETIME_SECONDS, client).map(Some)
}

/// Ends the session of a request, if any, and returns the `Set-Cookie` that removes the cookie.
pub(super) async fn end(
    registry: &Registry,
    headers: &HeaderMap,
    client: &Client,
) -> Result<HeaderValue, RegistryError> {
    if let Some(id) = id(headers) {
        registry.end_session(&id).await?;
    }
    of_session("", 0, client)
}

/// Returns the person of a request's session, `None` without an open session. A session of a person ends where the settings of
/// the provider change.
pub(super) async fn person(state: &AdminState, headers: &HeaderMap) -> Result<Option<Person>, RegistryError> {
    let Some(id) = id(headers) else { return Ok(None) };
    let registry = state.registry();
    if registry.has_session(&id).await? {
        return Ok(Some(Person::by_password()));
    }
    let Some(oidc) = &state.options().oidc else { return Ok(None) };
    let found = registry.person_of_session(&id, oidc.settings()).await?;
    Ok(found.map(|(name, role)| Person::new(name, role, Means::Provider)))
}

/// Returns the digest of a session's secret, `None` without a session. The session need not be open.
pub(in crate::server::admin) fn id(headers: &HeaderMap) -> Option<Digest> {
    cookie(headers, COOKIE).map(|secret| Digest::of(secret.as_bytes()))
}

/// Returns the value of a cookie, `None` if it is absent or empty, or comes twice: another host of the domain may have set the other
/// one.
pub(in crate::server::admin) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    let mut values = pairs.filter_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
    let value = values.next().filter(|value| !value.is_empty())?;
    values.next().is_none().then_some(value)
}

/// Returns the `Set-Cookie` of a cookie that scripts cannot read, and that goes in the clear only on this machine.
pub(in crate::server::admin) fn set_cookie(
    name: &str,
    value: &str,
    path: &str,
    seconds: u32,
    same_site: &str,
    client: &Client,
) -> Result<HeaderValue, RegistryError> {
    let secure = if client.is_local { "" } else { "; Secure" };
    let cookie =
        format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}");
    let mut value = HeaderValue::try_from(cookie).map_err(|_| RegistryError::Corrupt("cookie"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn of_session(value: &str, seconds: u32, client: &Client) -> Result<HeaderValue, RegistryError> {
    set_cookie(COOKIE, value, "/admin", seconds, "Strict", client)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::cookie;

    #[test]
    fn a_cookie_that_comes_twice_is_none() {
        for (lines, expect) in [
            (&["a=1; s=x"][..], Some("x")),
            (&["s=x; a=1"], Some("x")),
            (&["s="], None),
            (&["as=x"], None),
            (&["s=x; s=y"], None),
            (&["s=x", "s=x"], None),
            (&["s=; s=x"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(cookie(&headers, "s"), expect, "{lines:?}");
        }
    }
}
