//! Who a JWT is of, and what they may do.
//!
//! A token that does not hold is not tried as anything else.

use std::rc::Rc;
use std::sync::Arc;

use super::Engine;
use super::trail::{Inputs, Stop, Trail};
use super::verdicts::Verdict;
use crate::decision::Check;
use crate::fault::Fault;
use crate::identity_slot::IdentitySlot;
use crate::jwt::{Issuer, JwkSet, JwsFault, JwtFault, Principals, UnverifiedJwt, VerifiedIdentity};
use crate::keyring::{KeyRing, Keys, Newer};
use crate::policy::StatusPolicy;
use crate::token::{TokenDigest, TokenRecord};

impl Engine {
    /// Whom a JWT is of, as far as an issuer of the policy vouches for it.
    pub(super) fn vouched<'a>(
        &'a self,
        token: &[u8],
        slot: Option<&IdentitySlot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Arc<TokenRecord>, Stop<'a>> {
        let too_long = Fault::Jwt(JwtFault::Jws(JwsFault::TooLong));
        let digest = TokenDigest::of_sent(token).ok_or(too_long)?;
        let verdict = match self.remembered(&digest, slot, inputs, trail)? {
            Some(verdict) => verdict,
            None => self.judged(token, digest, slot, inputs, trail)?,
        };
        let (issuer, _) = self.issuer(verdict.issuer)?;
        trail.checks.push(Check::IdentityVerified(issuer.name()));
        let person = match (issuer.principals(), verdict.identity.email()) {
            (Principals::Any, _) => None,
            (Principals::Known, Some(email)) => Some(self.person(email, inputs, trail)?),
            (Principals::Known, None) if verdict.identity.is_service() => None,
            (Principals::Known, None) => return Err(Fault::PersonUnknown.into()),
        };
        Ok(verdict.record(person, |identity, person| self.record(issuer, identity, person)))
    }

    /// The verdict on a token that was judged before, if it still is one.
    fn remembered<'a>(
        &'a self,
        digest: &TokenDigest,
        slot: Option<&IdentitySlot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Option<Rc<Verdict>>, Stop<'a>> {
        let Some(verdict) = self.verdicts.find(digest, slot) else { return Ok(None) };
        let (issuer, ring) = self.issuer(verdict.issuer)?;
        let Keys::Usable { keys, refresh } = ring.find(inputs.now) else { return Ok(None) };
        if !verdict.is_by(&keys) {
            return Ok(None);
        }
        trail.refresh.extend(refresh);
        issuer.still_holds(&verdict.identity, inputs.now.unix()).map_err(Fault::Jwt)?;
        Ok(Some(verdict))
    }

    /// Reads and judges a token.
    fn judged<'a>(
        &'a self,
        token: &[u8],
        digest: TokenDigest,
        slot: Option<&IdentitySlot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Rc<Verdict>, Stop<'a>> {
        let issuers = self.policy.issuers();
        let jwt = UnverifiedJwt::parse(token).map_err(Fault::Jwt)?;
        let issuer = Issuer::find(issuers, &jwt, slot).map_err(Fault::Jwt)?;
        let place = issuers.iter().position(|other| std::ptr::eq(other, issuer)).unwrap_or(usize::MAX);
        let (issuer, ring) = self.issuer(place)?;
        let keys = Self::keys_of(ring, issuer, inputs, trail)?;
        match issuer.verify(jwt, &keys, self.services.verifier(), inputs.now.unix()) {
            Ok(identity) => {
                let verdict = Rc::new(Verdict::new(place, slot, &keys, identity));
                self.verdicts.keep(digest, &verdict);
                Ok(verdict)
            }
            Err(fault) if fault.may_pass_with_newer_keys() => Err(match ring.newer(inputs.now) {
                Newer::Ask(fetch) if !inputs.known.has(&fetch.key) => Stop::Fetch(Box::new(fetch)),
                // Asked for once: if the key is still unknown then, so be it.
                Newer::Ask(_) | Newer::None => Fault::Jwt(fault).into(),
                Newer::Unavailable => Fault::KeysUnavailable(issuer.name()).into(),
            }),
            Err(fault) => Err(Fault::Jwt(fault).into()),
        }
    }

    /// An issuer of the policy, and its keys.
    fn issuer(&self, place: usize) -> Result<(&Issuer, &KeyRing), Fault<'_>> {
        let issuer = self.policy.issuers().get(place).ok_or(Fault::Jwt(JwtFault::Issuer))?;
        let ring = self.issuer_keys.get(place).ok_or(Fault::KeysUnavailable(issuer.name()))?;
        Ok((issuer, ring))
    }

    fn keys_of<'a>(
        ring: &'a KeyRing,
        issuer: &'a Issuer,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Arc<JwkSet>, Stop<'a>> {
        match ring.find(inputs.now) {
            Keys::Usable { keys, refresh } => {
                trail.refresh.extend(refresh);
                Ok(keys)
            }
            Keys::Ask(fetch) if !inputs.known.has(&fetch.key) => Err(Stop::Fetch(Box::new(fetch))),
            Keys::Ask(_) | Keys::Unavailable => Err(Fault::KeysUnavailable(issuer.name()).into()),
        }
    }

    /// The record of a caller: limits and ids are the person's, whichever issuer vouches for them.
    fn record(
        &self,
        issuer: &Issuer,
        identity: &VerifiedIdentity,
        person: Option<&TokenRecord>,
    ) -> TokenRecord {
        let mut record = identity.record(self.scope(issuer, person));
        if let Some(person) = person {
            record.digest = person.digest;
            record.label.clone_from(&person.label);
            record.models.clone_from(&person.models);
            record.rate_limit = person.rate_limit;
            record.expires_at = person.expires_at;
        }
        record
    }

    /// The providers of an issuer's subjects: the issuer's, as far as the person's own record has them, too.
    fn scope(&self, issuer: &Issuer, person: Option<&TokenRecord>) -> Vec<String> {
        let of_person =
            |name: &&str| person.is_none_or(|person| person.providers.iter().any(|it| it == name));
        let all = self.upstreams.iter().map(|upstream| upstream.provider.as_str());
        let mut scope: Vec<&str> = match issuer.providers() {
            // Every provider of the policy, which the status is not: that is given by name only.
            None => all.collect(),
            Some(providers) => {
                let of_issuer = |name: &&str| providers.iter().any(|it| it == name);
                all.chain([StatusPolicy::SCOPE]).filter(of_issuer).collect()
            }
        };
        scope.retain(of_person);
        scope.into_iter().map(str::to_owned).collect()
    }
}
