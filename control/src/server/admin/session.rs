//! Sessions of the administrator: a cookie with a random secret, whose SHA-256 is in the database.

use axum::http::{HeaderMap, HeaderValue, header};
use keyswap_core::base::Digest;

use super::client::Client;
use crate::registry::{Registry, RegistryError, SecretText};

const COOKIE: &str = "keyswap_session";

/// The lifetime of a session: one day.
const LIFETIME_SECONDS: u32 = 86_400;

/// Starts a session, and returns its `Set-Cookie`.
pub(super) async fn begin(registry: &Registry, client: &Client) -> Result<HeaderValue, RegistryError> {
    let secret = SecretText::random()?;
    registry.begin_session(&Digest::of(secret.expose().as_bytes()), LIFETIME_SECONDS).await?;
    set_cookie(secret.expose(), LIFETIME_SECONDS, client)
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
    set_cookie("", 0, client)
}

/// Returns true if a request has the cookie of an open session.
pub(super) async fn is_open(registry: &Registry, headers: &HeaderMap) -> Result<bool, RegistryError> {
    match id(headers) {
        Some(id) => registry.has_session(&id).await,
        None => Ok(false),
    }
}

/// Returns the digest of the session's secret, `None` without a session.
pub(super) fn id(headers: &HeaderMap) -> Option<Digest> {
    let secret = cookie(headers, COOKIE)?;
    (!secret.is_empty()).then(|| Digest::of(secret.as_bytes()))
}

/// Returns the value of the first cookie of a name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut pairs = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

fn set_cookie(value: &str, seconds: u32, client: &Client) -> Result<HeaderValue, RegistryError> {
    let secure = if client.is_local { "" } else { "; Secure" };
    let cookie =
        format!("{COOKIE}={value}; Path=/admin; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::try_from(cookie).map_err(|_| RegistryError::Corrupt("cookie"))?;
    value.set_sensitive(true);
    Ok(value)
}
