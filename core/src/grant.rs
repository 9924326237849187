//! The grant: proof that a verified token has the request's provider in its scope.
//!
//! Only a grant opens an upstream secret ([`crate::Secret`]), and only [`Grant::new`] makes one.

use crate::route::Route;
use crate::token::{TokenRecord, VerifiedToken};
use crate::upstream::Upstream;

/// A verified token, a route that its scope allows, and the upstream of that route's provider.
pub(crate) struct Grant<'a> {
    token: VerifiedToken,
    route: Route<'a>,
    upstream: &'a Upstream,
}

impl<'a> Grant<'a> {
    /// Checks the scope. Names are compared whole, so that `open` is no scope for `openai`.
    ///
    /// A provider that the policy does not enable has no upstream, and is refused like one out of scope.
    pub(crate) fn new(token: VerifiedToken, route: Route<'a>, upstreams: &'a [Upstream]) -> Option<Self> {
        let upstream = upstreams.iter().find(|upstream| upstream.provider == route.provider)?;
        let in_scope = token.record().providers.contains(&upstream.provider);
        in_scope.then_some(Self { token, route, upstream })
    }

    pub(crate) fn route(&self) -> &Route<'a> {
        &self.route
    }

    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.upstream
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        self.token.record()
    }
}
