//! Identity JWTs: the callers that they name, and what those may do.
//!
//! A JWT that is refused is not tried as anything else.

use std::rc::Rc;
use std::sync::Arc;

use super::authenticator::Authenticator;
use super::verified_jwts::VerifiedJwt;
use super::verified_token::digest_within;
use crate::answer::{CheckError, cors};
use crate::base::Digest;
use crate::identity::jwt::{
    Issuer, IssuerRule, JwsError, JwtError, Principals, UnverifiedJwt, VerifiedIdentity, has_rules,
};
use crate::identity::{CallerRecord, Models, Scope};
use crate::judge::progress::{Check, Context, Exit, Means, Progress};
use crate::limit::CallerLimit;
use crate::request::IdentitySlot;
use crate::services::{KeyRing, Lookup};

impl Authenticator {
    /// Finds the record of a JWT's caller, as far as an issuer of the policy vouches for it. `known` is the digest of the
    /// token, where it need not be computed.
    pub(super) fn authenticate_jwt<'a>(
        &'a self,
        (token, known): (&[u8], Option<Digest>),
        slot: Option<&'a IdentitySlot>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Arc<CallerRecord>, Exit<'a>> {
        let digest = known.or_else(|| digest_within(token, Issuer::longest(self.policy.issuers())));
        let digest = digest.ok_or(CheckError::Jwt(JwtError::Jws(JwsError::TooLong)))?;
        let verified = match self.cached_jwt(&digest, slot, context, progress)? {
            Some(verified) => verified,
            None => self.verify_jwt(token, digest, slot, context, progress)?,
        };
        let (issuer, _) = self.issuer(verified.issuer)?;
        progress.checks.push(Check::IdentityVerified(issuer.name()));
        let rule = note_rule(issuer.name(), issuer.rights(), &verified.identity, progress)?;
        self.check_page(slot, &verified.identity, context)?;
        let person = match (issuer.principals(), verified.identity.verified_email()) {
            // An address that is not verified may be somebody else's, so it takes rights away and gives none.
            (Principals::Any, _) => match verified.identity.claimed_email() {
                Some(email) => self.find_bounds(email, context, progress)?,
                None => None,
            },
            (Principals::Known, Some(email)) => Some(self.find_person(email, context, progress)?),
            (Principals::Known, None) if verified.identity.is_service() => None,
            (Principals::Known, None) if verified.identity.claimed_email().is_some() => {
                return Err(CheckError::EmailUnverified.into());
            }
            (Principals::Known, None) => return Err(CheckError::PersonUnknown.into()),
        };
        progress.means = self.policy.ends_exchanges.then(|| Means::identity(rule, &verified.identity));
        Ok(verified.record(person, |identity, person| self.record(rule, identity, person)))
    }

    /// Checks that no page of another site uses an identity that the browser sent by itself. A service has no browser.
    fn check_page<'a>(
        &self,
        slot: Option<&'a IdentitySlot>,
        identity: &VerifiedIdentity,
        context: &Context<'a, '_>,
    ) -> Result<(), CheckError<'a>> {
        let slot = slot.filter(|slot| slot.is_filled_by_browsers() && !identity.is_service());
        match slot.filter(|_| !cors::may_use_identity(&self.policy.origins, context.head)) {
            Some(slot) => Err(CheckError::OriginNotAllowed(slot)),
            None => Ok(()),
        }
    }

    /// Returns a token that was verified before, if it still holds.
    fn cached_jwt<'a>(
        &'a self,
        digest: &Digest,
        slot: Option<&IdentitySlot>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Option<Rc<VerifiedJwt>>, Exit<'a>> {
        let Some(verified) = self.verified.find(digest, slot) else { return Ok(None) };
        let (issuer, ring) = self.issuer(verified.issuer)?;
        let Lookup::Ready(keys, renewal) = ring.find(context.results, context.now) else { return Ok(None) };
        if !verified.is_by(&keys) {
            return Ok(None);
        }
        progress.note_renewal(renewal);
        issuer.still_holds(&verified.identity, context.now.unix()).map_err(CheckError::Jwt)?;
        Ok(Some(verified))
    }

    /// Reads and verifies a token.
    fn verify_jwt<'a>(
        &'a self,
        token: &[u8],
        digest: Digest,
        slot: Option<&IdentitySlot>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Rc<VerifiedJwt>, Exit<'a>> {
        let issuers = self.policy.issuers();
        let jwt = UnverifiedJwt::parse_within(token, Issuer::longest(issuers)).map_err(CheckError::Jwt)?;
        let issuer = Issuer::find(issuers, &jwt, slot).map_err(CheckError::Jwt)?;
        let place = issuers.iter().position(|other| std::ptr::eq(other, issuer)).unwrap_or(usize::MAX);
        let (issuer, ring) = self.issuer(place)?;
        let unavailable = CheckError::KeysUnavailable(issuer.name());
        let keys = match ring.find(context.results, context.now) {
            Lookup::Ready(keys, renewal) => {
                progress.note_renewal(renewal);
                keys
            }
            Lookup::Fetch(fetch) => return Err(Exit::Fetch(fetch)),
            Lookup::Unavailable => return Err(unavailable.into()),
        };
        match issuer.verify(jwt, &keys, self.services.verifier(), context.now.unix()) {
            Ok(identity) => {
                let verified = Rc::new(VerifiedJwt::new(place, slot, &keys, identity));
                self.verified.keep(digest, &verified);
                self.known.keep(token, digest);
                Ok(verified)
            }
            Err(error) if error.may_pass_with_newer_keys() => {
                Err(match ring.newer(context.results, context.now) {
                    Lookup::Ready((), _) => CheckError::Jwt(error).into(),
                    Lookup::Fetch(fetch) => Exit::Fetch(fetch),
                    Lookup::Unavailable => unavailable.into(),
                })
            }
            Err(error) => Err(CheckError::Jwt(error).into()),
        }
    }

    /// Returns an issuer of the policy, and its keys.
    fn issuer(&self, place: usize) -> Result<(&Issuer, &KeyRing), CheckError<'_>> {
        let issuer = self.policy.issuers().get(place).ok_or(CheckError::Jwt(JwtError::Issuer))?;
        let ring = self.issuer_keys.get(place).ok_or(CheckError::KeysUnavailable(issuer.name()))?;
        Ok((issuer, ring))
    }

    /// Makes the record of a caller. Budgets and ids are the person's, whichever issuer vouches for the address; an
    /// address that no issuer vouches for only narrows the record.
    pub(super) fn record(
        &self,
        rule: &IssuerRule,
        identity: &VerifiedIdentity,
        person: Option<&CallerRecord>,
    ) -> CallerRecord {
        let mut record = identity.record(self.scope(rule, person));
        record.rate_limit = rule.rate_limit();
        record.budget = rule.budget().cloned();
        record.models = models(rule, person);
        if let Some(person) = person {
            record.expires_at = person.expires_at;
            if identity.email().is_some() {
                record.digest = person.digest;
                record.label.clone_from(&person.label);
                record.team = person.team.clone().or(record.team);
                record.rate_limit = CallerLimit::first(person.rate_limit, rule.rate_limit());
            }
        }
        record
    }

    /// Returns the scope of an issuer's subject: that of its rule, as far as the person's own record has it, too.
    ///
    /// Without a scope of its own a rule is for every provider of the policy. The status is none of them: it is given
    /// by name only.
    pub(super) fn scope(&self, rule: &IssuerRule, person: Option<&CallerRecord>) -> Scope {
        let is_enabled = |name: &str| self.scope.has(name);
        match (rule.scope(), person) {
            (None, None) => self.scope.clone(),
            (None, Some(person)) => person.scope.only(is_enabled),
            (Some(scope), None) => scope.clone(),
            (Some(scope), Some(person)) => scope.and(&person.scope),
        }
    }
}

/// Returns the models of an issuer's subject: those of its rule, as far as the person's own record has them, too.
pub(super) fn models(rule: &IssuerRule, person: Option<&CallerRecord>) -> Models {
    person.map_or_else(|| rule.models().clone(), |person| rule.models().and(&person.models))
}

/// Returns the rule that gives the subject its rights, and notes those before it. `rights` are those of the issuer of this name.
pub(super) fn note_rule<'a>(
    issuer: &'a str,
    rights: &'a [IssuerRule],
    identity: &VerifiedIdentity,
    progress: &mut Progress<'a>,
) -> Result<&'a IssuerRule, CheckError<'a>> {
    let chosen = identity.chosen();
    let rule = chosen.rule.and_then(|place| rights.get(place));
    let mut missed = rights.iter().zip(&chosen.missed);
    if !has_rules(rights) {
        // Only a team can be missing.
        let claim = missed.next().map(|(it, condition)| it.claim(*condition));
        return rule.ok_or(claim.map_or(CheckError::NoRule(issuer), CheckError::NoTeam));
    }
    let missed = missed.enumerate();
    let missed =
        missed.map(|(rule, (it, condition))| Check::RuleMissed { rule, claim: it.claim(*condition) });
    progress.checks.extend(missed);
    progress.checks.extend(chosen.rule.map(Check::RuleFits));
    rule.ok_or(CheckError::NoRule(issuer))
}
