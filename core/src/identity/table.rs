//! The tokens of a policy, by digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::record::CallerRecord;
use crate::base::Digest;

/// The tokens that stand in the policy itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenTable(Arc<BTreeMap<Digest, Arc<CallerRecord>>>);

impl TokenTable {
    pub(crate) fn new<'r>(records: impl IntoIterator<Item = &'r Arc<CallerRecord>>) -> Self {
        let entries = records.into_iter().map(|record| (record.digest, Arc::clone(record)));
        Self(Arc::new(entries.collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the record of a token.
    pub(crate) fn find(&self, token: &Digest) -> Option<&Arc<CallerRecord>> {
        self.0.get(token)
    }

    /// Returns the record of the token with this [`CallerRecord::id`]; `None` where no token or more than one has it.
    ///
    /// Only logs are read by it, never callers: an id proves nothing.
    pub(crate) fn find_by_id(&self, id: &str) -> Option<&Arc<CallerRecord>> {
        let least = Digest::from_hex(&format!("{id:0<64}"))?;
        let mut records =
            self.0.range(least..).map(|(_, record)| record).take_while(|record| record.id() == id);
        let found = records.next();
        found.filter(|_| records.next().is_none())
    }
}
