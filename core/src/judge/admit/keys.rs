//! The keys with which a request goes upstream: the choice of a provider's credential, the value from its sources, and
//! the lessons of the answer.

use std::time::Duration;

use super::grant::{Keys, Scoped, Unlocked};
use crate::answer::CheckError;
use crate::base::{Digest, Moment};
use crate::host::Store;
use crate::judge::progress::{AnswerHead, Check, Context, Exit, Progress, Sent, SentKey, retry_after};
use crate::judge::verify::{Caller, Presented};
use crate::request::{IdentitySlot, credential};
use crate::services::Lookup;
use crate::upstream::{
    Bound, CallerJwt, CredentialId, Credentials, KeyInHand, Pool, Refusal, Session, Upstream,
    UpstreamCredential,
};

/// The upstream credentials of a policy.
pub(crate) struct UpstreamKeys(Credentials);

impl UpstreamKeys {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self(credentials)
    }

    /// Finds the keys of a request that is in scope. Nothing was taken from its budget yet, so the request may wait for
    /// a key.
    pub(crate) fn unlock<'a, 's>(
        &'a self,
        scoped: &'s mut Scoped<'a>,
        caller: &Caller<'a>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Unlocked<'a, 's>, Exit<'a>> {
        let principal = scoped.record().digest;
        progress.sent.principal = Some(principal);
        let upstream: &'a Upstream = scoped.upstream();
        progress.sent.upstream = upstream.number;
        let provider = match (caller.session(), &upstream.keys) {
            (Some(session), _) => Some(self.of_session(session, upstream)?),
            (None, Some(keys)) => {
                let (pool, bound) = keys.of_caller(scoped.record()).ok_or(CheckError::Unbound)?;
                if let Some(Bound { kind, name }) = bound {
                    progress.checks.push(Check::Bound { kind, name });
                }
                Some(self.find_in_pool(pool, &principal, caller, context, progress)?)
            }
            (None, None) => None,
        };
        scoped.check_provider_key(provider.as_ref())?;
        let find = |pool| self.find_in_pool(pool, &principal, caller, context, progress);
        let gateway = upstream.gateway_key.as_ref().map(find).transpose()?;
        Ok(scoped.with(Keys { upstream, provider, gateway })?)
    }

    /// Returns the key that a session holds. A host that writes the provider's key would write it over this one.
    fn of_session(&self, session: &Session, upstream: &Upstream) -> Result<KeyInHand, CheckError<'static>> {
        let pools = upstream.keys.iter().flat_map(|keys| keys.pool().into_iter().chain(keys.bound()));
        let mut members = pools.flat_map(Pool::members);
        if members.any(|member| self.0.is_of_host(member.credential)) {
            return Err(CheckError::MintingHost);
        }
        session.key_for(upstream).map(KeyInHand::Minted).ok_or(CheckError::SealBroken)
    }

    /// Finds the first key of a pool that has a value now.
    fn find_in_pool<'a>(
        &'a self,
        pool: &'a Pool,
        principal: &Digest,
        caller: &Caller<'a>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<KeyInHand, Exit<'a>> {
        if let Some(id) = pool.only() {
            // Nearly every provider has one credential, from the environment, of which its answers teach nothing.
            if let Some((name, key)) = self.0.constant(id) {
                progress.checks.push(Check::HasCredential(name));
                progress.sent.has_own_key = true;
                return Ok(key);
            }
            let key = self.find_key(id, pool, principal, caller, context, progress)?;
            return key.ok_or_else(|| CheckError::CredentialUnavailable(self.name(id)).into());
        }
        let mut first = None;
        for id in pool.order(principal, &self.0, context.now) {
            if let Some(key) = self.find_key(id, pool, principal, caller, context, progress)? {
                return Ok(key);
            }
            first = first.or(Some(id));
        }
        let name = first.map(|id| self.name(id)).unwrap_or_default();
        Err(CheckError::CredentialUnavailable(name).into())
    }

    /// Finds the value of a credential, if it has one now.
    fn find_key<'a>(
        &'a self,
        id: CredentialId,
        pool: &Pool,
        principal: &Digest,
        caller: &Caller<'a>,
        context: &Context<'a, '_>,
        progress: &mut Progress<'a>,
    ) -> Result<Option<KeyInHand>, Exit<'a>> {
        let header = match caller.slot {
            Some(IdentitySlot::Header(header)) => Some(header.as_str()),
            _ => None,
        };
        let is_jwt = matches!(caller.presented, Presented::Identity);
        let jwt = is_jwt.then_some(CallerJwt { header, token: &caller.token, principal: *principal });
        let bearer = || credential::only_bearer(context.head).filter(|token| *token != &*caller.token);
        match self.0.find(id, jwt.as_ref(), &bearer, context.results, context.now) {
            Lookup::Ready(key, renewal) => {
                progress.note_renewal(renewal);
                self.note(&key, id, pool, progress);
                Ok(Some(key))
            }
            Lookup::Fetch(fetch) => Err(Exit::Fetch(fetch)),
            Lookup::Unavailable => Ok(None),
        }
    }

    fn note<'a>(&'a self, key: &KeyInHand, id: CredentialId, pool: &Pool, progress: &mut Progress<'a>) {
        let KeyInHand::Key(_, used) = key else {
            progress.sent.has_own_key = true;
            return progress.checks.push(Check::HostHasCredential);
        };
        progress.sent.has_own_key |= !self.0.is_of_request(*used);
        progress.checks.push(Check::HasCredential(self.name(id)));
        let cooldown = pool.only().is_none().then(|| pool.cooldown());
        if cooldown.is_some() || self.0.is_fetched(*used) {
            progress.sent.add(SentKey { used: *used, cooldown });
        }
    }

    fn name(&self, id: CredentialId) -> &str {
        self.0.get(id).map_or("", |credential| credential.name.as_str())
    }

    /// Learns from the answer of an upstream whether the keys work.
    pub(crate) fn learn(&self, sent: Sent, answer: &dyn AnswerHead, now: Moment, store: &dyn Store) {
        let mut keys = sent.keys().peekable();
        if keys.peek().is_none() || !answer.is_of_upstream() {
            return;
        }
        let status = answer.value(":status");
        for key in keys {
            match status.as_deref() {
                Some(b"401") => self.note_unauthorized(key, sent.principal, now, store),
                Some(b"429") => {
                    let span = Pool::cooldown_span(key.cooldown, retry_after(answer));
                    self.cool_down(key, sent.principal, Refusal::Busy, span, now, store);
                }
                _ => self.note_accepted(key),
            }
        }
    }

    fn note_unauthorized(&self, key: SentKey, principal: Option<Digest>, now: Moment, store: &dyn Store) {
        // Rotation makes an upstream refuse the old value, which says nothing of its successor.
        if !self.0.is_current(key.used) {
            return;
        }
        self.0.refused(key.used, now);
        let span = Pool::cooldown_span(key.cooldown, None);
        self.cool_down(key, principal, Refusal::Unauthorized, span, now, store);
    }

    fn note_accepted(&self, key: SentKey) {
        if let Some(credential) = self.0.get(key.used.credential) {
            credential.cooldown().accepted();
        }
    }

    /// Notes the refusal of a key, where its pool has another and it is not the caller's own.
    fn cool_down(
        &self,
        key: SentKey,
        principal: Option<Digest>,
        refusal: Refusal,
        span: Option<Duration>,
        now: Moment,
        store: &dyn Store,
    ) {
        if let (Some(span), Some(principal), Some(credential)) =
            (span, principal, self.0.get(key.used.credential))
            && !self.0.is_of_request(key.used)
        {
            credential.cooldown().refused(principal, refusal, span, now, store);
        }
    }

    /// Takes over what other workers have learnt of keys that share a pool.
    pub(crate) fn adopt_shared<'u>(
        &self,
        upstreams: impl Iterator<Item = &'u Upstream>,
        now: Moment,
        store: &dyn Store,
    ) {
        let pools = upstreams.filter_map(|upstream| upstream.keys.as_ref()?.pool());
        let members = pools.filter(|pool| pool.only().is_none()).flat_map(Pool::members);
        for credential in members.filter_map(|member| self.0.get(member.credential)) {
            credential.cooldown().adopt_shared(now, store);
        }
    }

    pub(crate) fn get(&self, id: CredentialId) -> Option<&UpstreamCredential> {
        self.0.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &UpstreamCredential> {
        self.0.iter()
    }
}
