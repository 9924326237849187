//! The grant: proof that a verified token has the request's provider in its scope, that the keys are there with which it
//! goes upstream, and that it had a request left in its budget.
//!
//! Only a grant opens an upstream secret ([`crate::Secret`]). There is one way to it: [`Scoped::new`],
//! [`Scoped::unlock`], [`Unlocked::admit`].

use crate::fault::Fault;
use crate::limit::{Counted, RateLimit, Rule, Taken};
use crate::provider::Dialect;
use crate::route::Route;
use crate::target::{Asking, Target};
use crate::token::{TokenRecord, VerifiedToken};
use crate::upstream::{AuthHeader, Form, Held, OpenKey, Pool, Upstream};

/// A verified token, a route that its scope allows, and where that leads at the upstream of its provider.
pub(crate) struct Scoped<'a> {
    token: VerifiedToken,
    route: Route<'a>,
    upstream: &'a Upstream,
    target: Target,
}

impl<'a> Scoped<'a> {
    /// Checks the scope, and that the path leads where requests may go. Names are compared whole, so that `open` is no
    /// scope for `openai`.
    ///
    /// A provider that the policy does not enable has no upstream, and is refused like one out of scope.
    pub(crate) fn new(
        token: VerifiedToken,
        route: Route<'a>,
        upstreams: &'a [Upstream],
        asking: &Asking<'_>,
    ) -> Result<Self, Fault<'a>> {
        let upstream = upstreams.iter().find(|upstream| upstream.provider == route.provider);
        let in_scope = |upstream: &&Upstream| token.record().providers.contains(&upstream.provider);
        let upstream = upstream.filter(in_scope).ok_or(Fault::OutOfScope(route.provider))?;
        // What a request says of its model stands in its body, which is not read here.
        if token.record().restricts_models() {
            return Err(Fault::ModelsRestricted);
        }
        let target = Target::of(&route, upstream, asking)?;
        Ok(Self { token, route, upstream, target })
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        self.token.record()
    }

    /// Finds the keys of the upstream, and of no other: `find` is given its pools.
    pub(crate) fn unlock<E: From<Fault<'a>>>(
        self,
        mut find: impl FnMut(&'a Pool) -> Result<Held, E>,
    ) -> Result<Unlocked<'a>, E> {
        let provider = self.upstream.keys.as_ref().map(&mut find).transpose()?;
        if self.target.takes_key() && matches!(provider, Some(Held::ByHost)) {
            return Err(Fault::KeyInQuery.into());
        }
        let gateway = self.upstream.gateway_key.as_ref().map(&mut find).transpose()?;
        Ok(Unlocked { scoped: self, keys: Keys { provider, gateway } })
    }
}

/// What a request carries upstream.
#[derive(Debug)]
struct Keys {
    provider: Option<Held>,
    gateway: Option<Held>,
}

/// What [`Scoped`] is, with its keys.
pub(crate) struct Unlocked<'a> {
    scoped: Scoped<'a>,
    keys: Keys,
}

impl<'a> Unlocked<'a> {
    pub(crate) fn record(&self) -> &TokenRecord {
        self.scoped.record()
    }

    /// The limit that holds for the token: its own, else the policy's, else there is none.
    pub(crate) fn limit(&self, rule: Option<Rule>) -> Option<RateLimit> {
        self.record().rate_limit.or(rule.map(|rule| rule.limit))
    }

    /// Admits a request that was counted within its limit, and has none or need not be counted otherwise.
    pub(crate) fn admit(self, rule: Option<Rule>, counted: Counted) -> Result<Grant<'a>, Fault<'a>> {
        let is_limited = self.limit(rule).is_some();
        let taken = match counted {
            Counted::Taken(taken) if !taken.allowed => return Err(Fault::RateLimited(taken)),
            Counted::Taken(taken) => Some(taken),
            Counted::Unlimited | Counted::Unknown
                if is_limited && rule.is_none_or(|rule| !rule.failure_mode_allow) =>
            {
                return Err(Fault::LimitUnavailable);
            }
            Counted::Unlimited | Counted::Unknown => None,
        };
        let Self { scoped, keys } = self;
        Ok(Grant { scoped, keys, taken })
    }
}

/// What [`Unlocked`] is, and what was taken from the budget.
pub(crate) struct Grant<'a> {
    scoped: Scoped<'a>,
    keys: Keys,
    taken: Option<Taken>,
}

impl<'a> Grant<'a> {
    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.scoped.upstream
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        self.scoped.record()
    }

    /// What is left of the budget, where there is one.
    pub(crate) fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }

    /// The header that carries the provider's key, unless the query does or nobody here writes it.
    pub(crate) fn provider_key(&self) -> Option<(&'a AuthHeader, OpenKey)> {
        let upstream = self.upstream();
        let is_openai = self.scoped.route.dialect == Dialect::OpenAi;
        let header = if is_openai { &upstream.openai_auth } else { &upstream.auth };
        match &self.keys.provider {
            Some(Held::Key(key)) if !self.scoped.target.takes_key() => {
                Some((header, OpenKey::new(key, header.form, self)))
            }
            _ => None,
        }
    }

    /// The gateway's key.
    pub(crate) fn gateway_key(&self) -> Option<OpenKey> {
        match &self.keys.gateway {
            Some(Held::Key(key)) => Some(OpenKey::new(key, Form::Bearer, self)),
            Some(Held::ByHost) | None => None,
        }
    }

    /// The request target, with the provider's key where it belongs there.
    pub(crate) fn target(&self) -> Vec<u8> {
        let key = match &self.keys.provider {
            Some(Held::Key(key)) => Some(key.reveal(Form::Query, self)),
            Some(Held::ByHost) | None => None,
        };
        self.scoped.target.with_key(key)
    }
}
