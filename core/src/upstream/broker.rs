//! The broker: a credential that a provider mints goes to the caller as a token of ours, which holds it sealed.
//!
//! Nothing of the token is stored anywhere. The token is valid for the provider that minted the credential, at the upstream
//! that it came from, and no longer than its parent: the proxy token whose caller got it.

use std::rc::Rc;
use std::time::Duration;

use super::bound::Upstream;
use crate::answer::CheckError;
use crate::base::{Digest, UnixTime};
use crate::host::Environment;
use crate::policy::{BrokerPolicy, PolicyError};
use crate::request::credential::SEALED_PREFIX;
use crate::secret::{Claims, Key, SealKey};
use crate::syntax::site;

/// The broker of one policy.
pub(crate) struct Broker {
    key: SealKey,
    max_ttl: Duration,
}

/// A brokered token that was opened.
pub(crate) struct Session {
    /// The digest of the token's parent.
    pub(crate) parent: Digest,
    /// The moment from which the token is refused.
    pub(crate) expires_at: UnixTime,
    /// The provider that minted the credential, and the upstream that it came from.
    audience: String,
    /// The credential that the provider minted.
    key: Rc<Key>,
}

impl Session {
    /// Returns the credential, for a request to the upstream that it came from; `None` for any other.
    pub(crate) fn key_for(&self, upstream: &Upstream) -> Option<Rc<Key>> {
        self.key_at(&audience(upstream))
    }

    /// Returns what was sealed, for this audience; `None` for any other.
    pub(super) fn key_at(&self, audience: &str) -> Option<Rc<Key>> {
        (self.audience == audience).then(|| Rc::clone(&self.key))
    }
}

/// Returns the name of a provider and its upstream, of which a sealed token is for one.
pub(super) fn audience(upstream: &Upstream) -> String {
    let Upstream { provider, authority, https, .. } = upstream;
    format!("{provider} {}", site(*https, authority))
}

impl Broker {
    /// Reads the key of a policy's broker.
    pub(crate) fn new(policy: &BrokerPolicy, environment: &dyn Environment) -> Result<Self, PolicyError> {
        Ok(Self::of(policy.seal_key(environment)?, policy.max_ttl))
    }

    pub(super) fn of(key: SealKey, max_ttl: Duration) -> Self {
        Self { key, max_ttl }
    }

    /// Returns whether a token is judged as a brokered one, and as nothing else.
    pub(crate) fn has_form_of(token: &[u8]) -> bool {
        token.starts_with(SEALED_PREFIX.as_bytes())
    }

    /// Opens a token for a request to this provider. One that this broker did not seal, and one for another provider, is
    /// refused like an unknown token.
    pub(crate) fn open(
        &self,
        token: &[u8],
        provider: &str,
        now: UnixTime,
    ) -> Result<Session, CheckError<'static>> {
        let is_for = |audience: &str| audience.split_once(' ').is_some_and(|(name, _)| name == provider);
        let opened = self.key.open(token).filter(|(claims, _)| is_for(&claims.audience));
        let (Claims { audience, parent, expires_at }, secret) = opened.ok_or(CheckError::SealBroken)?;
        if expires_at <= now {
            return Err(CheckError::TokenExpired(expires_at));
        }
        Ok(Session { parent, expires_at, audience, key: Rc::new(Key::new(secret)) })
    }

    /// Seals a secret for the caller with this token. Returns the brokered token and its expiry, which is the secret's unless
    /// the policy ends it earlier; `None` for a secret that is too long.
    pub(super) fn seal(
        &self,
        audience: &str,
        parent: Digest,
        secret: &str,
        expires_at: Option<UnixTime>,
        now: UnixTime,
    ) -> Option<(String, UnixTime)> {
        let seconds = i64::try_from(self.max_ttl.as_secs()).unwrap_or(0);
        let latest = UnixTime(now.0.saturating_add(seconds));
        let expires_at = expires_at.map_or(latest, |at| at.min(latest));
        let claims = Claims { audience: audience.to_owned(), parent, expires_at };
        Some((self.key.seal(&claims, secret)?, expires_at))
    }
}
