//! The keys with which a request goes upstream: which of a provider's credentials, and what its chain of sources has.

use super::Engine;
use super::caller::Caller;
use super::trail::{Inputs, Stop, Trail};
use crate::decision::Check;
use crate::fault::Fault;
use crate::grant::Scoped;
use crate::identity_slot::IdentitySlot;
use crate::sent::SentKey;
use crate::upstream::{CredentialId, KeyInUse, Keys, Pool, UsedKey, Vouched, Yield};

impl Engine {
    /// The keys of a request whose token is in scope. Nothing was taken from its budget yet, so it may wait for them.
    pub(super) fn keys<'a>(
        &'a self,
        scoped: &Scoped<'a>,
        caller: &Caller<'a>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Keys, Stop<'a>> {
        let upstream = scoped.upstream();
        let mut keys = Keys::default();
        if let Some(pool) = &upstream.keys {
            match self.key(pool, scoped, caller, inputs, trail)? {
                Some(in_use) => {
                    trail.sent.key = self.sent_key(scoped, pool, in_use.used());
                    keys.provider = Some(in_use.key);
                }
                None => keys.by_host = true,
            }
        }
        if let Some(pool) = &upstream.gateway_key {
            keys.gateway = self.key(pool, scoped, caller, inputs, trail)?.map(|in_use| in_use.key);
        }
        Ok(keys)
    }

    /// The first key of a pool that there is now; `None` where the host has it.
    fn key<'a>(
        &'a self,
        pool: &Pool,
        scoped: &Scoped<'a>,
        caller: &Caller<'a>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Option<KeyInUse>, Stop<'a>> {
        let order = match pool.only() {
            Some(_) => Vec::new(),
            None => pool.order(&scoped.record().digest, &self.credentials, inputs.now),
        };
        let mut unavailable = None;
        for id in pool.only().into_iter().chain(order) {
            if let Some(found) = self.find_key(id, caller, inputs, trail)? {
                return Ok(found);
            }
            unavailable = unavailable.or(Some(id));
        }
        let name =
            unavailable.and_then(|id| self.credentials.get(id)).map(|credential| credential.name.as_str());
        Err(Fault::CredentialUnavailable(name.unwrap_or_default()).into())
    }

    /// The value of a credential: `None` where there is none, `Some(None)` where the host has it.
    #[expect(clippy::option_option, reason = "two questions: is there one, and is it ours")]
    fn find_key<'a>(
        &'a self,
        id: CredentialId,
        caller: &Caller<'a>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Option<Option<KeyInUse>>, Stop<'a>> {
        let vouched = match caller.slot {
            Some(IdentitySlot::Header(header)) => Some(Vouched { header, token: &caller.token }),
            _ => None,
        };
        let was_tried = |fetch: &crate::fetch::Fetch| inputs.known.has(&fetch.key);
        match self.credentials.find(id, vouched.as_ref(), &was_tried, inputs.now) {
            Yield::Key(mut in_use) => {
                trail.refresh.extend(in_use.refresh.take());
                let name = self.credentials.get(id).map(|credential| credential.name.as_str());
                trail.checks.extend(name.map(Check::HasCredential));
                Ok(Some(Some(in_use)))
            }
            Yield::Host => {
                trail.checks.push(Check::HostHasCredential);
                Ok(Some(None))
            }
            Yield::Ask(fetch) => Err(Stop::Fetch(Box::new(fetch))),
            Yield::Nothing => Ok(None),
        }
    }

    /// The key, where something is to be learnt of it from the answer.
    fn sent_key(&self, scoped: &Scoped<'_>, pool: &Pool, used: UsedKey) -> Option<SentKey> {
        let matters = pool.only().is_none() || self.credentials.is_fetched(used);
        let upstream = self.upstreams.iter().position(|upstream| std::ptr::eq(upstream, scoped.upstream()));
        upstream.filter(|_| matters).map(|upstream| SentKey { upstream, used })
    }
}
