//! The credentials of one provider: those of bound callers, and the pool of all others.
//!
//! A bound caller has its one credential, in health and in cooldown. Neither does it get one of the pool, nor do its
//! refusals let one of the pool rest.

use super::pool::Pool;
use crate::identity::CallerRecord;
use crate::provider::{BindingKind, Bindings};

#[derive(Debug)]
pub(crate) struct ProviderKeys {
    /// The credentials of callers that are not bound; `None` where only bound callers may use the provider.
    pool: Option<Pool>,
    bindings: Bindings<Pool>,
}

/// A binding: the part of the caller's record that it is by, and the name there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound<'u> {
    pub(crate) kind: BindingKind,
    pub(crate) name: &'u str,
}

impl ProviderKeys {
    pub(super) fn new(pool: Pool, bindings: Bindings<Pool>) -> Self {
        Self { pool: Some(pool).filter(|pool| !pool.members().is_empty()), bindings }
    }

    /// Returns the credentials that a caller may use, and the binding that says so; `None` where the caller has no
    /// binding, and the others have no credential.
    pub(crate) fn of_caller(&self, record: &CallerRecord) -> Option<(&Pool, Option<Bound<'_>>)> {
        match self.bindings.find(record) {
            Some((kind, name, pool)) => Some((pool, Some(Bound { kind, name }))),
            None => Some((self.pool.as_ref()?, None)),
        }
    }

    /// Returns the pool of callers that are not bound; `None` where such a caller is refused.
    pub(crate) fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    /// Returns the pools of one that callers are bound to.
    pub(crate) fn bound(&self) -> impl Iterator<Item = &Pool> {
        self.bindings.iter().map(|(.., pool)| pool)
    }
}
