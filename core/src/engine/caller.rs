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
use crate::jwt::{Issuer, is_jwt_shaped};
use crate::registry::{Lookup, Origin, Wanted};
use crate::slot::Slot;
use crate::token::{TokenDigest, TokenRecord, TokenStatus};

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
        } else {
            self.known(&token, inputs, trail)?
        };
        Ok(Caller { record, token, slot: None })
    }

    /// What is known of a proxy token: the policy's own are looked for first.
    fn known<'a>(
        &'a self,
        token: &[u8],
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Arc<TokenRecord>, Stop<'a>> {
        let digest = TokenDigest::of_sent(token).ok_or(Fault::TokenUnknown)?;
        if let Some(record) = self.tokens.find(&digest) {
            return Ok(Arc::clone(record));
        }
        let record = self.look_up(Wanted::Token(token, digest), inputs, trail)?.ok_or(Fault::TokenUnknown)?;
        trail.sent.token = Some(record.digest);
        Ok(record)
    }

    /// What is known of a person: the policy's own are looked for first.
    pub(super) fn person<'a>(
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
