//! The keys with which a request goes upstream: which of a provider's credentials, and what its chain of sources has; and
//! what is learnt of them from the answer.

use super::Engine;
use super::caller::Caller;
use super::trail::{Inputs, Stop, Trail};
use crate::decision::Check;
use crate::fault::Fault;
use crate::fetch::Fetch;
use crate::grant::{Scoped, Unlocked};
use crate::identity_slot::IdentitySlot;
use crate::sent::{self, AnswerHead, Sent, SentKey};
use crate::store::Store;
use crate::time::Moment;
use crate::token::TokenDigest;
use crate::upstream::{CredentialId, Held, Pool, Vouched, Yield};

impl Engine {
    /// Finds the keys of a request whose token is in scope. Nothing was taken from its budget yet, so it may wait for
    /// them.
    pub(super) fn unlock<'a>(
        &'a self,
        scoped: Scoped<'a>,
        caller: &Caller<'a>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Unlocked<'a>, Stop<'a>> {
        let principal = scoped.record().digest;
        trail.sent.principal = Some(principal);
        scoped.unlock(|pool| self.find_key(pool, principal, caller, inputs, trail))
    }

    /// The first key of a pool that there is now.
    fn find_key<'a>(
        &'a self,
        pool: &'a Pool,
        principal: TokenDigest,
        caller: &Caller<'a>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Held, Stop<'a>> {
        let order = match pool.only() {
            Some(_) => Vec::new(),
            None => pool.order(&principal, &self.credentials, inputs.now),
        };
        let mut first = None;
        for id in pool.only().into_iter().chain(order) {
            if let Some(held) = self.credential_of(id, pool, caller, inputs, trail)? {
                return Ok(held);
            }
            first = first.or(Some(id));
        }
        Err(Fault::CredentialUnavailable(first.map(|id| self.credential_name(id)).unwrap_or_default()).into())
    }

    /// The value of a credential, if it has one now.
    fn credential_of<'a>(
        &'a self,
        id: CredentialId,
        pool: &Pool,
        caller: &Caller<'a>,
        inputs: &Inputs<'a, '_>,
        trail: &mut Trail<'a>,
    ) -> Result<Option<Held>, Stop<'a>> {
        let vouched = match caller.slot {
            Some(IdentitySlot::Header(header)) => Some(Vouched { header, token: &caller.token }),
            _ => None,
        };
        let was_tried = |fetch: &Fetch| inputs.known.has(&fetch.key);
        match self.credentials.find(id, vouched.as_ref(), &was_tried, inputs.now) {
            Yield::Key(in_use) => {
                trail.refresh.extend(in_use.refresh);
                trail.checks.push(Check::HasCredential(self.credential_name(id)));
                let cooldown = pool.only().is_none().then(|| pool.cooldown());
                if cooldown.is_some() || self.credentials.is_fetched(in_use.used) {
                    trail.sent.add(SentKey { used: in_use.used, cooldown });
                }
                Ok(Some(Held::Key(in_use.key)))
            }
            Yield::Host => {
                trail.checks.push(Check::HostHasCredential);
                Ok(Some(Held::ByHost))
            }
            Yield::Ask(fetch) => Err(Stop::Fetch(Box::new(fetch))),
            Yield::Nothing => Ok(None),
        }
    }

    fn credential_name(&self, id: CredentialId) -> &str {
        self.credentials.get(id).map_or("", |credential| credential.name.as_str())
    }

    /// Takes note of the answer to a forwarded request.
    pub fn answered(&self, sent: Sent, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        if let (Some(token), Some(registry)) = (sent.token, &self.registry)
            && !registry.is_marked(&token, now)
            && answer.is_of_upstream()
        {
            registry.mark_used(token, now);
        }
        let mut keys = sent.keys().peekable();
        if keys.peek().is_none() || !answer.is_of_upstream() {
            return;
        }
        let status = answer.value(":status");
        for key in keys {
            match status.as_deref() {
                Some(b"401") => self.key_refused(key, sent.principal, now, store),
                Some(b"429") => {
                    let span = Pool::rest(key.cooldown, sent::retry_after(answer));
                    self.let_rest(key, span, now, store);
                }
                _ => self.key_accepted(key),
            }
        }
    }

    fn key_refused(&self, key: SentKey, principal: Option<TokenDigest>, now: Moment, store: &dyn Store) {
        // That a value is refused which has a successor is what its rotation looks like.
        if !self.credentials.is_current(key.used) {
            return;
        }
        self.credentials.refused(key.used, now);
        let credential = self.credentials.get(key.used.credential);
        let is_about_the_key = principal
            .zip(credential)
            .is_some_and(|(principal, credential)| credential.rest().refused(principal));
        if is_about_the_key {
            self.let_rest(key, Pool::rest(key.cooldown, None), now, store);
        }
    }

    fn key_accepted(&self, key: SentKey) {
        if let Some(credential) = self.credentials.get(key.used.credential) {
            credential.rest().accepted();
        }
    }

    /// Has a key rest, where there is another, and where it is not the caller's own.
    fn let_rest(&self, key: SentKey, span: Option<std::time::Duration>, now: Moment, store: &dyn Store) {
        if let (Some(span), Some(credential)) = (span, self.credentials.get(key.used.credential))
            && !self.credentials.is_of_request(key.used)
        {
            credential.rest().begin(span, now, store);
        }
    }
}
