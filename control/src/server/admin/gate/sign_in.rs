//! Signing in and out: 10 attempts a minute from one address, each in the audit log. A failed attempt has no known
//! author, unless Cloudflare Access names one.
//!
//! Attempts are counted in the database before the password is checked, so that neither many connections nor many
//! replicas permit more. The right password resets the count.

use axum::http::{HeaderMap, HeaderValue};

use super::person::ADMIN;
use super::state::AdminState;
use super::{password, session, who};
use crate::registry::{Actor, SecretText};
use crate::server::admin::client::Client;
use crate::server::problem::Problem;

/// The result of a sign-in attempt.
pub(in crate::server::admin) enum Try {
    /// The password is right. The value is the `Set-Cookie` of the session.
    Right(HeaderValue),
    /// The password is wrong.
    Wrong,
    /// Too many attempts. The value is the number of seconds to wait.
    TooMany(u32),
}

/// Attempts to sign in with a password. A request with a refused Cloudflare Access JWT is refused here too.
pub(in crate::server::admin) async fn attempt(
    state: &AdminState,
    client: &Client,
    headers: &HeaderMap,
    password: SecretText,
) -> Result<Try, Problem> {
    // A wrong password tells nothing about its author, so it must not look like the administrator's own mistake.
    let author = who::by_access(state, headers).await?.unwrap_or_else(Actor::unknown);
    let registry = state.registry();
    let name = client.name();
    if let Some(seconds) = registry.count_try(&name).await? {
        return Ok(Try::TooMany(seconds));
    }
    let hash = registry.password_hash().await?;
    if !password::is_right(password, hash).await? {
        registry.note(&author, "admin.sign_in_failed", &name).await?;
        return Ok(Try::Wrong);
    }
    registry.forget_tries(&name).await?;
    let cookie = session::begin(registry, client).await?;
    registry.note(&Actor::new(ADMIN), "admin.sign_in", &name).await?;
    Ok(Try::Right(cookie))
}
