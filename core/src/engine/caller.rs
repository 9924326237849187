//! Who calls: by an identity JWT or by a proxy token, known to the policy or to the registry.
//!
//! What is presented is judged as one kind of credential and as nothing else.

use std::borrow::Cow;
use std::sync::Arc;

use super::Engine;
use super::trail::{Inputs, Stop, Trail};
use crate::credential::Credential;
use crate::decision::Check;
use crate::fault::Fault;
use crate::fetch::Resolution;
use crate::identity_slot::{IdentitySlot, find_identity};
use crate::jwt::{Issuer, JwkSet, Principals, UnverifiedJwt, is_jwt_shaped};
use crate::keyring::{KeyRing, Keys, Newer};
use crate::policy::StatusPolicy;
use crate::registry::{Lookup, Origin, Wanted};
use crate::slot::Slot;
use crate::token::{TokenRecord, TokenStatus};

/// Who calls, and what they presented.
pub(super) struct Caller<'a> {
    pub(super) record: Arc<TokenRecord>,
    pub(super) token: Cow<'a, [u8]>,
    /// Where it stood, if that was an identity slot.
    pub(super) slot: Option<&'a IdentitySlot>,
}

impl Engine {
    /// Who calls. `found` is what stands in the auth slots.
    pub(super) fn caller<'a>(
        &'a self,
        found: Result<Option<Credential<'a>>, Slot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Caller<'a>, Stop<'a>> {
        match self.identity(inputs, trail)? {
            Some(caller) => Ok(caller),
            None => self.credential(found, inputs, trail),
        }
    }

    /// Who calls, by a JWT in a place that holds nothing else. It is judged before any auth slot: where an identity
    /// provider stands in front, SDKs still send some key.
    fn identity<'a>(
        &'a self,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Option<Caller<'a>>, Stop<'a>> {
        let slots = self.policy.issuers().iter().flat_map(Issuer::slots);
        let found = find_identity(slots, inputs.head).map_err(Fault::IdentityAmbiguous)?;
        let Some(found) = found else { return Ok(None) };
        trail.checks.push(Check::IdentityFound(found.slot));
        let record = self.vouched(found.token, Some(found.slot), inputs, trail)?;
        Ok(Some(Caller { record, token: Cow::Borrowed(found.token), slot: Some(found.slot) }))
    }

    /// Who calls, by what stands in an auth slot: a JWT is told by its shape, and is then nothing else.
    fn credential<'a>(
        &'a self,
        found: Result<Option<Credential<'a>>, Slot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Caller<'a>, Stop<'a>> {
        let credential = found.map_err(Fault::CredentialAmbiguous)?.ok_or(Fault::CredentialMissing)?;
        trail.checks.push(Check::CredentialFound(credential.slot));
        let token = credential.token;
        let record = if !self.issuer_keys.is_empty() && is_jwt_shaped(&token) {
            self.vouched(&token, None, inputs, trail)?
        } else if let Some(record) = self.tokens.find(&token) {
            Arc::clone(record)
        } else {
            let record = self.look_up(Wanted::Token(&token), inputs, trail)?.ok_or(Fault::TokenUnknown)?;
            trail.sent.token = Some(record.digest);
            record
        };
        Ok(Caller { record, token, slot: None })
    }

    /// Who a JWT is of, and what they may do. One that does not hold is not tried as anything else.
    fn vouched<'a>(
        &'a self,
        token: &[u8],
        slot: Option<&IdentitySlot>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Arc<TokenRecord>, Stop<'a>> {
        let issuers = self.policy.issuers();
        let jwt = UnverifiedJwt::parse(token).map_err(Fault::Jwt)?;
        let issuer = Issuer::find(issuers, &jwt, slot).map_err(Fault::Jwt)?;
        let place = issuers.iter().position(|other| other.name() == issuer.name());
        let ring = place
            .and_then(|place| self.issuer_keys.get(place))
            .ok_or(Fault::KeysUnavailable(issuer.name()))?;
        let keys = Self::keys_of(ring, issuer, inputs, trail)?;
        let identity = match issuer.verify(jwt, &keys, self.services.verifier(), inputs.now.unix()) {
            Ok(identity) => identity,
            Err(fault) if fault.may_pass_with_newer_keys() => {
                return Err(match ring.newer(inputs.now) {
                    Newer::Ask(fetch) if !inputs.known.has(&fetch.key) => Stop::Fetch(Box::new(fetch)),
                    // Asked for once: if the key is still unknown then, so be it.
                    Newer::Ask(_) | Newer::None => Fault::Jwt(fault).into(),
                    Newer::Unavailable => Fault::KeysUnavailable(issuer.name()).into(),
                });
            }
            Err(fault) => return Err(Fault::Jwt(fault).into()),
        };
        trail.checks.push(Check::IdentityVerified(issuer.name()));
        let person = match (issuer.principals(), identity.email()) {
            (Principals::Any, _) => None,
            (Principals::Known, Some(email)) => Some(self.person(email, inputs, trail)?),
            (Principals::Known, None) if identity.is_service() => None,
            (Principals::Known, None) => return Err(Fault::PersonUnknown.into()),
        };
        let mut record = identity.record(self.scope(issuer, person.as_deref()));
        if let Some(person) = person {
            // Limits and ids are the person's, whichever issuer vouches for them.
            record.digest = person.digest;
            record.label.clone_from(&person.label);
            record.models.clone_from(&person.models);
            record.rate_limit = person.rate_limit;
            record.expires_at = person.expires_at;
        }
        Ok(Arc::new(record))
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

    /// What is known of a person: the policy's own are looked for first.
    fn person<'a>(
        &'a self,
        email: &str,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Arc<TokenRecord>, Stop<'a>> {
        let of_policy = self.policy.people.get(email).cloned();
        let record = match of_policy {
            Some(record) => Some(record),
            None => self.look_up(Wanted::Person(email), inputs, trail)?,
        };
        let record = record.ok_or(Fault::PersonUnknown)?;
        if record.status == TokenStatus::Disabled {
            return Err(Fault::PersonDisabled.into());
        }
        Ok(record)
    }

    /// What the registry knows.
    fn look_up<'a>(
        &'a self,
        wanted: Wanted<'_>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Option<Arc<TokenRecord>>, Stop<'a>> {
        let Some(registry) = &self.registry else { return Ok(None) };
        let told = inputs.known.record(wanted);
        let unheard = if told.is_none() { registry.unheard(wanted, inputs.now) } else { None };
        if let Some(fetch) = unheard.filter(|fetch| !inputs.known.has(&fetch.key)) {
            return Err(Stop::Fetch(Box::new(fetch)));
        }
        let (record, from) = match told {
            Some(Resolution::Record(record)) => (Arc::clone(record), Origin::Registry),
            Some(Resolution::Unknown) => return Ok(None),
            Some(_) => return Err(Fault::RegistryUnavailable.into()),
            None => match registry.find(wanted, inputs.now, inputs.store) {
                Lookup::Known { record, from, refresh } => {
                    trail.refresh.extend(refresh);
                    (record, from)
                }
                Lookup::Unknown => return Ok(None),
                Lookup::Unavailable => return Err(Fault::RegistryUnavailable.into()),
                Lookup::Ask(fetch) => return Err(Stop::Fetch(Box::new(fetch))),
            },
        };
        trail.origin = Some(from);
        trail.checks.push(Check::LookedUp(from));
        Ok(Some(record))
    }
}
