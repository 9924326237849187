//! Issuers whose keys a generated key replaces.

use std::collections::BTreeSet;

use keyswap_core::base::Moment;
use keyswap_core::identity::jwt::{Issuer, KeySource};
use keyswap_core::request::{IdentitySlot, OwnedHead};
use serde_json::json;

use super::stand_in_key::{StandInKey, StandInKeyError};
use crate::format::Identity;
use crate::services::ServiceAnswer;

/// The path of the key set that a discovery document names here.
const KEYS: &str = "/keys-of-the-stand-in";

/// The issuers of a policy, and the key that replaces those of some.
pub(super) struct StandIns {
    key: StandInKey,
    issuers: Vec<Issuer>,
    /// The names of the issuers whose keys are replaced.
    replaced: BTreeSet<String>,
}

/// A JWT, and the issuer that it is from.
pub(super) struct StandInJwt<'a> {
    pub(super) text: String,
    issuer: &'a Issuer,
}

impl StandIns {
    pub(super) fn new(key: StandInKey, issuers: Vec<Issuer>, replaced: BTreeSet<String>) -> Self {
        Self { key, issuers, replaced }
    }

    /// Signs the JWT of a case; `None` where the policy has no such issuer.
    pub(super) fn sign(
        &self,
        identity: &Identity,
        now: Moment,
    ) -> Result<Option<StandInJwt<'_>>, StandInKeyError> {
        let Some(issuer) = self.issuers.iter().find(|issuer| issuer.name() == identity.issuer) else {
            return Ok(None);
        };
        let text = self.key.sign(issuer, &identity.claims, now.unix())?;
        Ok(Some(StandInJwt { text, issuer }))
    }

    /// Returns the discovery document of the replaced issuer with keys at this authority.
    pub(super) fn discovery(&self, authority: &str) -> Option<ServiceAnswer> {
        let issuer = self.issuer_at(authority)?;
        let keys = format!("{}{KEYS}", site(issuer));
        Some(ServiceAnswer::ok(json!({"issuer": issuer.url(), "jwks_uri": keys}).to_string()))
    }

    /// Returns the key set of the replaced issuer with keys at this authority.
    pub(super) fn keys(&self, authority: &str) -> Option<ServiceAnswer> {
        self.issuer_at(authority).map(|issuer| ServiceAnswer::ok(self.key.key_set(issuer).to_string()))
    }

    fn issuer_at(&self, authority: &str) -> Option<&Issuer> {
        let is_there = |issuer: &&Issuer| match issuer.keys() {
            KeySource::Inline(_) => false,
            KeySource::Jwks(keys) | KeySource::Discovery(keys) => keys.endpoint.authority == authority,
        };
        self.issuers.iter().filter(|issuer| self.replaced.contains(issuer.name())).find(is_there)
    }
}

impl StandInJwt<'_> {
    /// Adds the JWT to a head, in the first slot of its issuer.
    pub(super) fn add_to(self, head: &mut OwnedHead) {
        let text = self.text;
        head.fields.push(match self.issuer.slots().first() {
            Some(IdentitySlot::Header(name)) => (name.clone(), text.into_bytes()),
            Some(IdentitySlot::Cookie(name)) => ("cookie".to_owned(), format!("{name}={text}").into_bytes()),
            None => ("authorization".to_owned(), format!("Bearer {text}").into_bytes()),
        });
    }
}

/// Returns scheme and authority of an issuer's keys.
fn site(issuer: &Issuer) -> String {
    match issuer.keys() {
        KeySource::Inline(_) => String::new(),
        KeySource::Jwks(keys) | KeySource::Discovery(keys) => {
            let scheme = if keys.endpoint.https { "https" } else { "http" };
            format!("{scheme}://{}", keys.endpoint.authority)
        }
    }
}
