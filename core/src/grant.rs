//! The grant: proof that a verified token has the request's provider in its scope and a request left in its budget, and
//! that the keys are there with which it goes upstream.
//!
//! Only a grant opens an upstream secret ([`crate::Secret`]), and only [`Scoped::admit`] makes one.

use crate::fault::Fault;
use crate::limit::{Counted, RateLimit, Rule, Taken};
use crate::route::Route;
use crate::token::{TokenRecord, VerifiedToken};
use crate::upstream::{Keys, Upstream};

/// A verified token, a route that its scope allows, and the upstream of that route's provider.
pub(crate) struct Scoped<'a> {
    token: VerifiedToken,
    route: Route<'a>,
    upstream: &'a Upstream,
}

impl<'a> Scoped<'a> {
    /// Checks the scope. Names are compared whole, so that `open` is no scope for `openai`.
    ///
    /// A provider that the policy does not enable has no upstream, and is refused like one out of scope.
    pub(crate) fn new(
        token: VerifiedToken,
        route: Route<'a>,
        upstreams: &'a [Upstream],
    ) -> Result<Self, Fault<'a>> {
        let upstream = upstreams.iter().find(|upstream| upstream.provider == route.provider);
        let in_scope = |upstream: &&Upstream| token.record().providers.contains(&upstream.provider);
        let upstream = upstream.filter(in_scope).ok_or(Fault::OutOfScope(route.provider))?;
        // What a request says of its model stands in its body, which is not read here.
        if token.record().restricts_models() {
            return Err(Fault::ModelsRestricted);
        }
        Ok(Self { token, route, upstream })
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        self.token.record()
    }

    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.upstream
    }

    /// The limit that holds for the token: its own, else the policy's, else there is none.
    pub(crate) fn limit(&self, rule: Option<Rule>) -> Option<RateLimit> {
        self.token.record().rate_limit.or(rule.map(|rule| rule.limit))
    }

    /// Admits a request that was counted within its limit, and has none or need not be counted otherwise.
    pub(crate) fn admit(
        self,
        keys: Keys,
        rule: Option<Rule>,
        counted: Counted,
    ) -> Result<Grant<'a>, Fault<'a>> {
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
        let Self { token, route, upstream } = self;
        Ok(Grant { token, route, upstream, keys, taken })
    }
}

/// What [`Scoped`] holds, the keys, and what was taken from the budget.
pub(crate) struct Grant<'a> {
    token: VerifiedToken,
    route: Route<'a>,
    upstream: &'a Upstream,
    keys: Keys,
    taken: Option<Taken>,
}

impl<'a> Grant<'a> {
    pub(crate) fn route(&self) -> &Route<'a> {
        &self.route
    }

    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.upstream
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        self.token.record()
    }

    /// What goes upstream; it takes this grant to open it.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What is left of the budget, where there is one.
    pub(crate) fn taken(&self) -> Option<&Taken> {
        self.taken.as_ref()
    }
}
