//! The holder of an object, and the caller that may share it.

use crate::base::Digest;
use crate::identity::CallerRecord;

/// The holder of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) principal: Digest,
    pub(crate) team: Option<String>,
}

/// The caller whose objects are sought.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) holder: Holder,
    /// Set where the objects of its team are its own, too.
    pub(crate) by_team: bool,
}

impl Holder {
    /// Returns the holder of what a caller makes.
    pub(crate) fn of(record: &CallerRecord) -> Self {
        Self { principal: record.holder, team: record.team.clone() }
    }

    /// Returns whether an object of this holder is a caller's, too.
    pub(crate) fn shares_with(&self, caller: &Self, by_team: bool) -> bool {
        self.principal == caller.principal || (by_team && self.team.is_some() && self.team == caller.team)
    }
}

impl Held {
    /// Returns whether an object of this holder is the caller's.
    pub(super) fn has(&self, holder: &Holder) -> bool {
        holder.shares_with(&self.holder, self.by_team)
    }
}
