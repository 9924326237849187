//! The principal of a request: the part of its record that may be shown.

use std::sync::Arc;

use super::record::CallerRecord;
use crate::base::Digest;

/// The principal of a request, for logs, metrics and metadata. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(Arc<CallerRecord>);

impl Principal {
    pub(crate) fn of(record: &Arc<CallerRecord>) -> Self {
        Self(Arc::clone(record))
    }

    /// Returns the digest of the principal's record.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Returns the principal's stable id, see [`CallerRecord::id`].
    pub fn id(&self) -> String {
        self.0.id()
    }

    /// Returns the label of the principal's record.
    pub fn label(&self) -> &str {
        &self.0.label
    }

    /// Returns the owner's email address, where the record has one.
    pub fn email(&self) -> Option<&str> {
        self.0.owner.as_deref()
    }

    /// Returns the team, where the record has one.
    pub fn team(&self) -> Option<&str> {
        self.0.team.as_deref()
    }
}
