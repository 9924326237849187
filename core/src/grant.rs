//! The grant: proof that a verified token has the provider in its scope.
//!
//! Only a grant opens an upstream secret ([`crate::Secret`]), and only [`Grant::new`] makes one.

use crate::token::{TokenRecord, VerifiedToken};
use crate::upstream::Upstream;

/// A verified token, in scope for one upstream.
pub(crate) struct Grant<'a> {
    token: VerifiedToken,
    upstream: &'a Upstream,
}

impl<'a> Grant<'a> {
    /// Checks the scope. Names are compared whole, so that `open` is no scope for `openai`.
    ///
    /// A provider that the policy does not enable has no upstream, and is refused like one out of scope.
    pub(crate) fn new(token: VerifiedToken, upstream: Option<&'a Upstream>) -> Option<Self> {
        let upstream = upstream?;
        let in_scope = token.record().providers.contains(&upstream.provider);
        in_scope.then_some(Self { token, upstream })
    }

    pub(crate) fn upstream(&self) -> &'a Upstream {
        self.upstream
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        self.token.record()
    }
}
