//! The administrator that a Cloudflare Access JWT names.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, StatusCode};
use keyswap_core::identity::jwt::{
    ClaimsError, Issuer, JwkSet, JwtError, PureRust, UnverifiedJwt, VerifiedIdentity,
};
use keyswap_core::request::{Header, IdentityCredential, RequestHead, find_identity};

use super::settings::{AccessSettings, KEYS_URL};
use crate::registry::{Actor, now};
use crate::server::issuer_keys::{Keys, KeysUnavailableError};
use crate::server::problem::Problem;

/// Sign-in by Cloudflare Access.
#[derive(Clone, Debug)]
pub struct Access {
    issuer: Issuer,
    admins: BTreeSet<String>,
    keys: Keys,
}

impl Access {
    /// Returns sign-in with these settings, an error if they are invalid. Keys are fetched on the first request.
    pub fn new(settings: &AccessSettings) -> anyhow::Result<Self> {
        let issuer = settings.issuer()?;
        Ok(Self {
            admins: settings.admins()?,
            keys: Keys::new(&issuer, "Cloudflare Access", KEYS_URL)?,
            issuer,
        })
    }

    /// Returns the administrator that a request's JWT names, `None` for a request without a JWT. An invalid JWT, or one
    /// of another user, is a problem.
    pub(in crate::server) async fn actor(&self, headers: &HeaderMap) -> Result<Option<Actor>, Problem> {
        let lines: Vec<Header<'_>> = headers
            .iter()
            .map(|(name, value)| Header { name: name.as_str().as_bytes(), value: value.as_bytes() })
            .collect();
        let head = RequestHead::new(b"", b"", &lines);
        let found = find_identity(self.issuer.slots(), &head).map_err(|slot| {
            tracing::debug!(%slot, "expected exactly one token of Cloudflare Access");
            invalid()
        })?;
        let Some(credential) = found else { return Ok(None) };
        let identity = self.verify(&credential).await?;
        let email = identity.email().filter(|email| self.admins.contains(*email));
        email.map(|email| Some(Actor::new(email))).ok_or_else(no_administrator)
    }

    async fn verify(&self, credential: &IdentityCredential<'_, '_>) -> Result<VerifiedIdentity, Problem> {
        // A token of another issuer or audience causes no fetch.
        self.parse(credential).map_err(refused)?;
        let keys = self.keys.current().await?;
        match self.judge(credential, &keys) {
            Err(fault) if fault.may_pass_with_newer_keys() => match self.keys.newer(&keys).await? {
                Some(keys) => self.judge(credential, &keys).map_err(refused),
                None => Err(refused(fault)),
            },
            judged => judged.map_err(refused),
        }
    }

    fn judge(
        &self,
        credential: &IdentityCredential<'_, '_>,
        keys: &JwkSet,
    ) -> Result<VerifiedIdentity, JwtError<'_>> {
        self.issuer.verify_unbound(self.parse(credential)?, keys, &PureRust, now())
    }

    fn parse<'t>(&self, credential: &IdentityCredential<'_, 't>) -> Result<UnverifiedJwt<'t>, JwtError<'_>> {
        let jwt = UnverifiedJwt::parse(credential.token)?;
        Issuer::find(std::slice::from_ref(&self.issuer), &jwt, Some(credential.slot))?;
        Ok(jwt)
    }
}

fn refused(fault: JwtError<'_>) -> Problem {
    tracing::debug!(%fault, "a token of Cloudflare Access is refused");
    match fault {
        JwtError::Claims(ClaimsError::Expired) => {
            let detail = "the token of Cloudflare Access has expired: sign in there again";
            Problem::new(StatusCode::UNAUTHORIZED, "access_token_expired", detail)
        }
        JwtError::Identity(_) => no_administrator(),
        _ => invalid(),
    }
}

fn invalid() -> Problem {
    let detail = "the token of Cloudflare Access is not valid here";
    Problem::new(StatusCode::UNAUTHORIZED, "access_token_invalid", detail)
}

fn no_administrator() -> Problem {
    let detail = "this user of Cloudflare Access is not an administrator: see `--access-admin`";
    Problem::new(StatusCode::FORBIDDEN, "not_an_administrator", detail)
}

impl From<KeysUnavailableError> for Problem {
    fn from(error: KeysUnavailableError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "access_keys_unavailable", error.to_string())
    }
}
