//! The rules on the claims of a JWT (RFC 7519 section 4.1). One validator for every host and every issuer.
//!
//! The origin, an audience and `exp` are required; `nbf` and `iat` must hold where they are present. The order of the checks lets only a
//! token that is otherwise valid learn that it has expired.

use std::time::Duration;

use serde_json::Value;

use super::claims::{ClaimValue, Claims, ClaimsError, Dates, VerifiedClaims, texts};
use super::origin::Origin;
use crate::base::UnixTime;

/// The claim with the audience, unless the policy names another.
pub(crate) const AUDIENCE: &str = "aud";

/// The claims that an issuer's tokens must have.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// The claims by which the issuer's tokens are known.
    pub(crate) origin: Origin,
    /// The accepted audiences, of which a token must have one exactly.
    pub audiences: Vec<String>,
    /// The claim with the audience, by name or JSON pointer. A token that has `aud` beside it is for one of the audiences by both.
    pub(crate) audience_claim: String,
    /// Claims that must have one of these values, by name or JSON pointer. A claim that is a list of strings must hold one of them,
    /// and so must the words of a scope.
    pub required: Vec<(String, Vec<ClaimValue>)>,
    /// The greatest difference between the issuer's clock and the host's.
    pub clock_skew: Duration,
}

impl ClaimRules {
    /// Returns whether the token is of this issuer, going by its own unverified claims.
    pub(super) fn is_issuer(&self, claims: &Claims) -> bool {
        self.origin.is_of(claims)
    }

    /// Returns whether the token has the required claims.
    pub(super) fn are_required(&self, claims: &Claims) -> bool {
        self.missing(claims).is_none()
    }

    /// Returns the first claim whose value is not the required one.
    fn missing(&self, claims: &Claims) -> Option<&str> {
        let required = claims.first_missing(&self.required).and_then(|place| self.required.get(place));
        required.map(|(name, _)| name.as_str()).or_else(|| self.origin.contradiction(claims))
    }

    /// Returns whether the token is for one of the audiences.
    pub(super) fn is_audience(&self, claims: &Claims) -> bool {
        let is_ours = |value: &str| self.audiences.iter().any(|audience| audience == value);
        let names_ours = |value: &Value| match value {
            Value::String(audience) => is_ours(audience),
            Value::Array(audiences) => texts(audiences).is_some_and(|mut texts| texts.any(is_ours)),
            _ => false,
        };
        // A token that is for others by its `aud` is refused, whatever else it says (RFC 7519 section 4.1.3).
        claims.get(&self.audience_claim).is_some_and(names_ours)
            && claims.get(AUDIENCE).is_none_or(names_ours)
    }

    /// Judges verified claims, and returns their dates.
    pub(super) fn judge(
        &self,
        VerifiedClaims(claims): &VerifiedClaims,
        now: UnixTime,
    ) -> Result<Dates, ClaimsError<'_>> {
        if !self.is_issuer(claims) {
            return Err(ClaimsError::Issuer);
        }
        if !self.is_audience(claims) {
            return Err(ClaimsError::Audience);
        }
        if let Some(name) = self.missing(claims) {
            return Err(ClaimsError::Required(name));
        }
        let dates = claims.dates()?;
        self.judge_dates(dates, now)?;
        Ok(dates)
    }

    /// Judges the dates of claims that are otherwise valid. No other check of theirs depends on the time.
    pub(super) fn judge_dates(&self, dates: Dates, now: UnixTime) -> Result<(), ClaimsError<'static>> {
        let Dates { not_before, issued_at, expires_at } = dates;
        let skew = i64::try_from(self.clock_skew.as_secs()).unwrap_or(i64::MAX);
        let latest_now = UnixTime(now.0.saturating_add(skew));
        let earliest_now = UnixTime(now.0.saturating_sub(skew));
        if not_before.is_some_and(|at| latest_now < at) {
            return Err(ClaimsError::NotYetValid);
        }
        if issued_at.is_some_and(|at| latest_now < at) {
            return Err(ClaimsError::IssuedInFuture);
        }
        if expires_at <= earliest_now {
            return Err(ClaimsError::Expired);
        }
        Ok(())
    }
}
