//! An issuer of the policy: whose tokens are judged, with which keys, by which rules.

use std::time::Duration;

use super::algorithm::Algorithm;
use super::claims::{ClaimRules, ClaimValue};
use super::endpoint::Endpoint;
use super::error::JwtError;
use super::identity::{Subjects, VerifiedIdentity};
use super::jwk_set::JwkSet;
use super::signature::SignatureVerifier;
use super::unverified::UnverifiedJwt;
use crate::base::UnixTime;
use crate::request::IdentitySlot;

/// One entry of the policy's `issuers`.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) name: String,
    pub(crate) rules: ClaimRules,
    pub(crate) algorithms: Vec<Algorithm>,
    /// True if its tokens always name their key.
    pub(crate) names_keys: bool,
    pub(crate) subjects: Subjects,
    pub(crate) keys: KeySource,
    pub(crate) slots: Vec<IdentitySlot>,
    pub(crate) principals: Principals,
    pub(crate) providers: Option<Vec<String>>,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In the policy.
    Inline(JwkSet),
    /// At an address, as a key set.
    Jwks(RemoteKeys),
    /// At the address that the document at this address names: see [`super::jwks_endpoint`].
    Discovery(RemoteKeys),
}

/// A key set to fetch, and how long it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// The endpoint to fetch from.
    pub endpoint: Endpoint,
    /// The host's name for the way there.
    pub cluster: String,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long a set is fresh.
    pub cache_duration: Duration,
    /// How long a set is used while no newer one can be had.
    pub stale_if_error: Duration,
    /// How often an unknown `kid` may lead to a fetch.
    pub refetch_cooldown: Duration,
}

/// The subjects of an issuer that are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principals {
    /// Those whose email somebody registered, and services that the policy names.
    Known,
    /// All.
    Any,
}

impl Issuer {
    /// The issuer that judges a token: the one that the token names, if it takes tokens from where this one stood. Of two
    /// entries for one issuer the one that the token is for.
    ///
    /// `slot` is `None` for an auth slot, which carries tokens of every issuer.
    pub fn find<'p>(
        issuers: &'p [Self],
        jwt: &UnverifiedJwt<'_>,
        slot: Option<&IdentitySlot>,
    ) -> Result<&'p Self, JwtError<'p>> {
        let claims = jwt.unverified_claims();
        let takes = |issuer: &&Self| {
            issuer.rules.is_issuer(claims) && slot.is_none_or(|slot| issuer.slots.contains(slot))
        };
        let mut candidates = issuers.iter().filter(takes).peekable();
        let first = candidates.peek().copied().ok_or(JwtError::Issuer)?;
        Ok(candidates.find(|issuer| issuer.rules.is_audience(claims)).unwrap_or(first))
    }

    /// Judges a token with the issuer's keys: key, signature, claims, subject, in this order.
    pub fn verify(
        &self,
        jwt: UnverifiedJwt<'_>,
        keys: &JwkSet,
        verifier: &dyn SignatureVerifier,
        now: UnixTime,
    ) -> Result<VerifiedIdentity, JwtError<'_>> {
        let jws = jwt.jws();
        if !self.algorithms.contains(&jws.algorithm()) {
            return Err(JwtError::Algorithm);
        }
        if self.names_keys && jws.kid().is_none() {
            return Err(JwtError::KeyUnnamed);
        }
        let key = keys.select(jws).map_err(JwtError::Key)?;
        let claims = jwt.verify(key, verifier)?;
        let dates = self.rules.judge(&claims, now).map_err(JwtError::Claims)?;
        VerifiedIdentity::new(&self.name, &self.subjects, &claims, dates).map_err(JwtError::Identity)
    }

    /// Judges again a token that this issuer judged before, by the same keys: only the time is another.
    pub(crate) fn still_holds(
        &self,
        identity: &VerifiedIdentity,
        now: UnixTime,
    ) -> Result<(), JwtError<'static>> {
        self.rules.judge_dates(identity.dates(), now).map_err(JwtError::Claims)
    }

    /// The policy's name for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `iss`.
    pub fn url(&self) -> &str {
        &self.rules.issuer
    }

    /// Returns the audiences of its tokens.
    pub fn audiences(&self) -> &[String] {
        &self.rules.audiences
    }

    /// The claims that must have one of these values.
    pub fn required_claims(&self) -> &[(String, Vec<ClaimValue>)] {
        &self.rules.required
    }

    /// Returns whether it admits services that the policy names.
    pub(crate) fn names_services(&self) -> bool {
        matches!(&self.subjects, Subjects::CloudflareAccess { service_tokens } if !service_tokens.is_empty())
    }

    /// The algorithms with which its tokens may be signed.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Where its keys are.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// How far its clock and ours may be apart.
    pub fn clock_skew(&self) -> Duration {
        self.rules.clock_skew
    }

    /// The places besides the auth slots where its tokens stand, in the order in which they are judged.
    pub fn slots(&self) -> &[IdentitySlot] {
        &self.slots
    }

    /// Returns which of its subjects are let in.
    pub fn principals(&self) -> Principals {
        self.principals
    }

    /// The scope of its subjects; `None` where only their own records narrow it.
    pub fn providers(&self) -> Option<&[String]> {
        self.providers.as_deref()
    }
}
