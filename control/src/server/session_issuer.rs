//! The registry as the issuer of session JWTs (RFC 9068), which data planes verify by its public keys.
//!
//! The private keys are files of the operator, as the key of records is: a copy of the database signs nothing. The first key signs.
//! The others are published only, so that a key is replaced without a JWT that is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use keyswap_core::base::UnixTime;
use serde_json::{Value, json};

use super::public_url;
use crate::registry::{Issued, MAX_JWT_SECONDS, SecretText};
use crate::signing::SigningKey;

/// The type of an access token that is a JWT (RFC 9068 section 2.1). No other signature of the registry has it.
const TYPE: &str = "at+jwt";

/// The id of the one client: the command. It is public and proves nothing.
pub(in crate::server) const CLIENT_ID: &str = "keyswap";

/// The most keys. A rotation needs two.
const MAX_KEYS: usize = 4;

/// The settings of sessions.
pub struct SessionSettings {
    /// The address at which people reach this server, which is the issuer.
    pub public_url: String,
    /// The private keys. The first one signs.
    pub keys: Vec<SigningKey>,
    /// The audience of JWTs.
    pub audience: String,
    /// The lifetime of a JWT.
    pub jwt_lifetime: Duration,
}

/// The issuer of session JWTs. Clones share the keys.
#[derive(Clone)]
pub struct SessionIssuer(Arc<Inner>);

struct Inner {
    url: String,
    keys: Vec<SigningKey>,
    audience: String,
    lifetime: i64,
}

impl fmt::Debug for SessionIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionIssuer").field(&self.0.url).finish()
    }
}

impl SessionIssuer {
    /// Returns the issuer of these settings.
    pub fn new(settings: SessionSettings) -> anyhow::Result<Self> {
        let url = public_url::read(&settings.public_url)?.as_str().trim_end_matches('/').to_owned();
        let SessionSettings { keys, audience, jwt_lifetime, .. } = settings;
        ensure!((1..=MAX_KEYS).contains(&keys.len()), "expected 1 to {MAX_KEYS} files in `--session-key`");
        ensure!(!audience.trim().is_empty(), "`--session-audience` is empty");
        let lifetime = i64::try_from(jwt_lifetime.as_secs()).unwrap_or(i64::MAX);
        ensure!(
            (60..=MAX_JWT_SECONDS).contains(&lifetime),
            "invalid `--session-jwt-lifetime`: expected a time from `1m` to `1h`"
        );
        Ok(Self(Arc::new(Inner { url, keys, audience, lifetime })))
    }

    /// Returns the issuer's name, the address of the server without a slash at its end.
    pub(in crate::server) fn url(&self) -> &str {
        &self.0.url
    }

    /// Returns the public keys as a set (RFC 7517).
    pub(in crate::server) fn key_set(&self) -> Value {
        json!({"keys": self.0.keys.iter().map(SigningKey::public).collect::<Vec<_>>()})
    }

    /// Returns a JWT of a session with the seconds for which it is valid. It states no right: the data plane looks those of the
    /// person up, so that a change counts at once.
    pub(in crate::server) fn jwt(&self, issued: &Issued, now: UnixTime) -> anyhow::Result<(SecretText, i64)> {
        let (session, inner) = (&issued.session, &*self.0);
        let seconds = inner.lifetime.min(session.expires_at.0.saturating_sub(now.0));
        let payload = json!({
            "iss": inner.url,
            "aud": inner.audience,
            "sub": session.email,
            "client_id": CLIENT_ID,
            "sid": session.sid,
            "jti": SecretText::random().context("no random numbers")?.expose(),
            "iat": now.0,
            "exp": now.0.saturating_add(seconds),
            "email": session.email,
            "email_verified": true,
        });
        let key = inner.keys.first().context("no key signs")?;
        Ok((SecretText::new(key.sign(TYPE, &payload)?), seconds))
    }
}
