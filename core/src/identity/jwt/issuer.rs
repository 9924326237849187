//! An issuer of the policy: its keys, and the rules by which its tokens are judged.

use std::time::Duration;

use super::algorithm::Algorithm;
use super::claim_rules::ClaimRules;
use super::claims::{ClaimValue, ClaimsError};
use super::endpoint::Endpoint;
use super::error::JwtError;
use super::identity::{Subjects, VerifiedIdentity};
use super::jwk_set::{JwkSet, NoKey};
use super::jws::{JwsError, MAX_TOKEN_BYTES};
use super::origin::Origin;
use super::rule::{Chosen, IssuerRule};
use super::signature::SignatureVerifier;
use super::unverified::UnverifiedJwt;
use crate::base::UnixTime;
use crate::request::IdentitySlot;

/// One entry of the policy's `issuers`.
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(crate) name: String,
    /// The policy's preset.
    pub(crate) preset: &'static str,
    pub(crate) rules: ClaimRules,
    pub(crate) algorithms: Vec<Algorithm>,
    /// The longest token, in bytes.
    pub(crate) longest: usize,
    /// Set where the issuer's tokens always name their key by `kid`.
    pub(crate) names_keys: bool,
    pub(crate) subjects: Subjects,
    pub(crate) keys: KeySource,
    pub(crate) slots: Vec<IdentitySlot>,
    pub(crate) principals: Principals,
    /// The rights of the subjects: one rule at least.
    pub(crate) rights: Vec<IssuerRule>,
}

/// The place of an issuer's keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Keys in the policy.
    Inline(JwkSet),
    /// A key set at an address.
    Jwks(RemoteKeys),
    /// A key set whose address stands in the discovery document at this address, see [`super::jwks_endpoint`].
    Discovery(RemoteKeys),
}

impl KeySource {
    /// Returns true if others on the network can read and replace the fetched keys.
    pub(crate) fn is_exposed(&self) -> bool {
        match self {
            Self::Inline(_) => false,
            Self::Jwks(keys) | Self::Discovery(keys) => keys.endpoint.is_exposed(),
        }
    }
}

/// A remote key set, and the times for which it is cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteKeys {
    /// The endpoint to fetch from.
    pub endpoint: Endpoint,
    /// The Envoy cluster of the endpoint; other hosts connect to its authority.
    pub cluster: String,
    /// The time limit of a fetch.
    pub timeout: Duration,
    /// The time for which a set is fresh.
    pub cache_duration: Duration,
    /// The further time for which a set is used while no newer one can be fetched.
    pub stale_if_error: Duration,
    /// The least time between two fetches for an unknown `kid`.
    pub refetch_cooldown: Duration,
}

/// The subjects of an issuer that are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principals {
    /// Subjects whose email is in the policy or the registry, and services that the policy names.
    Known,
    /// All subjects.
    Any,
}

impl Issuer {
    /// Finds the issuer that judges a token: the one that its claims name, if that issuer takes tokens from this slot. Of several
    /// entries for one issuer, the first is chosen that has the token's audience and whose required claims the token has; else
    /// the first with its audience. The entry that is chosen judges the same claims again, once they are verified.
    ///
    /// `slot` is `None` for an auth slot, which carries tokens of every issuer.
    ///
    /// # Errors
    /// [`JwtError::Issuer`] where no issuer matches.
    pub fn find<'p>(
        issuers: &'p [Self],
        jwt: &UnverifiedJwt<'_>,
        slot: Option<&IdentitySlot>,
    ) -> Result<&'p Self, JwtError<'p>> {
        let claims = jwt.unverified_claims();
        let takes = |issuer: &&Self| {
            issuer.rules.is_issuer(claims) && slot.is_none_or(|slot| issuer.slots.contains(slot))
        };
        let candidates = || issuers.iter().filter(takes);
        let for_audience = || candidates().filter(|issuer| issuer.rules.is_audience(claims));
        let fits = for_audience().find(|issuer| issuer.rules.are_required(claims));
        fits.or_else(|| for_audience().next()).or_else(|| candidates().next()).ok_or(JwtError::Issuer)
    }

    /// Judges a token with the issuer's keys: length, algorithm, key, signature, claims, subject, in this order.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        &self,
        jwt: UnverifiedJwt<'_>,
        keys: &JwkSet,
        verifier: &dyn SignatureVerifier,
        now: UnixTime,
    ) -> Result<VerifiedIdentity, JwtError<'_>> {
        let jws = jwt.jws();
        if jws.length() > self.longest {
            return Err(JwtError::Jws(JwsError::TooLong));
        }
        if !self.algorithms.contains(&jws.algorithm()) {
            return Err(JwtError::Algorithm);
        }
        if self.names_keys && jws.kid().is_none() {
            return Err(JwtError::KeyUnnamed);
        }
        let key = keys.select_of(self.is_trust_domain(), jws).map_err(JwtError::Key)?;
        let tenant = self.rules.origin.tenant(jwt.unverified_claims());
        if tenant.is_some_and(|tenant| !key.may_sign_for(tenant)) {
            return Err(JwtError::Key(NoKey::OtherTenant));
        }
        let claims = jwt.verify(key, verifier).map_err(|error| match error {
            // A key without a name may have been replaced by another.
            JwtError::Signature if key.kid().is_none() => JwtError::Key(NoKey::Unproven),
            error => error,
        })?;
        // Before the dates, so that only a token that is otherwise valid learns that it has expired.
        let certificate = claims.0.certificate().map_err(JwtError::Claims)?;
        let dates = self.rules.judge(&claims, now).map_err(JwtError::Claims)?;
        let rule = Chosen::of(&self.rights, &claims.0);
        let identity = VerifiedIdentity::new((&self.name, tenant), &self.subjects, &claims, dates, rule);
        identity.map(|identity| identity.bound_to(certificate)).map_err(JwtError::Identity)
    }

    /// Judges a token for a reader that does not see the certificate of the connection: a token that is bound to one is refused.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify_unbound(
        &self,
        jwt: UnverifiedJwt<'_>,
        keys: &JwkSet,
        verifier: &dyn SignatureVerifier,
        now: UnixTime,
    ) -> Result<VerifiedIdentity, JwtError<'_>> {
        let identity = self.verify(jwt, keys, verifier, now)?;
        if identity.is_bound() { Err(JwtError::Claims(ClaimsError::Confirmation)) } else { Ok(identity) }
    }

    /// Returns the length of the longest token that one of the issuers takes, in bytes.
    pub fn longest(issuers: &[Self]) -> usize {
        issuers.iter().map(|issuer| issuer.longest).max().unwrap_or(MAX_TOKEN_BYTES)
    }

    /// Judges again a token that this issuer judged before with the same keys. Only its dates are checked.
    pub(crate) fn still_holds(
        &self,
        identity: &VerifiedIdentity,
        now: UnixTime,
    ) -> Result<(), JwtError<'static>> {
        self.rules.judge_dates(identity.dates(), now).map_err(JwtError::Claims)
    }

    /// Returns the policy's name for the issuer.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the policy's preset.
    pub fn preset(&self) -> &'static str {
        self.preset
    }

    /// Returns the issuer's `iss`: with `{tenant}` in place of a tenant, and for a SPIFFE trust domain its SPIFFE ID.
    pub fn url(&self) -> &str {
        self.rules.origin.text()
    }

    /// Returns every value that `iss` may have; none for a SPIFFE trust domain.
    pub fn names(&self) -> Vec<&str> {
        self.rules.origin.names()
    }

    /// Returns whether the tokens are those of a SPIFFE trust domain, known by their `sub`.
    pub fn is_trust_domain(&self) -> bool {
        matches!(self.rules.origin, Origin::TrustDomain(_))
    }

    /// Returns the tenants; none for an issuer with one name.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        let tenants = match &self.rules.origin {
            Origin::Tenants { tenants, .. } => tenants.as_slice(),
            _ => &[],
        };
        tenants.iter().map(|(tenant, _)| tenant.as_str())
    }

    /// Returns the claim with the audience, by name or JSON pointer.
    pub fn audience_claim(&self) -> &str {
        &self.rules.audience_claim
    }

    /// Returns the audiences of its tokens.
    pub fn audiences(&self) -> &[String] {
        &self.rules.audiences
    }

    /// Returns the claims that must have one of these values.
    pub fn required_claims(&self) -> &[(String, Vec<ClaimValue>)] {
        &self.rules.required
    }

    /// Returns whether the issuer admits services that the policy names.
    pub(crate) fn names_services(&self) -> bool {
        matches!(&self.subjects, Subjects::CloudflareAccess { service_tokens } if !service_tokens.is_empty())
    }

    /// Returns whether the issuer is the registry, whose tokens are of sessions.
    pub(crate) fn has_sessions(&self) -> bool {
        matches!(self.subjects, Subjects::Registry)
    }

    /// Returns whether the issuer's addresses count without the issuer's word that they are verified.
    pub(crate) fn takes_unmarked_email(&self) -> bool {
        matches!(self.subjects, Subjects::OpenId { takes_unmarked_email: true, .. })
    }

    /// Returns the algorithms with which the issuer's tokens may be signed.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Returns the place of the issuer's keys.
    pub fn keys(&self) -> &KeySource {
        &self.keys
    }

    /// Returns the greatest difference between the issuer's clock and the host's.
    pub fn clock_skew(&self) -> Duration {
        self.rules.clock_skew
    }

    /// Returns the places besides the auth slots where the issuer's tokens stand, in the order in which they are
    /// judged.
    pub fn slots(&self) -> &[IdentitySlot] {
        &self.slots
    }

    /// Returns which of the issuer's subjects are let in.
    pub fn principals(&self) -> Principals {
        self.principals
    }

    /// Returns the rights of its subjects, in the order in which they are tried; one rule for all where the policy has no rules.
    pub fn rights(&self) -> &[IssuerRule] {
        &self.rights
    }
}
