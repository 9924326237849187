//! The slices that a worker looks after, and its calls for them.
//!
//! All of it is bounded: a subject beyond the bound has no slice, so that its requests cannot be counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::{Digest, Moment};
use crate::limit::{Amount, Budget, Reservation, Told};

/// The most subjects that a worker has slices of at one time.
const MAX_ACTIVE: usize = 20_000;
/// The most costs that wait to be charged.
pub(super) const MAX_UNSETTLED: usize = 10_000;
/// The time for which a subject is looked after since its last request.
pub(super) const ACTIVE_TIME: Duration = Duration::from_mins(2);

/// The subject of a budget: a token or a person, an owner, or a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BudgetSubject {
    pub(super) name: String,
    /// The budget that the policy gives it, where the registry has none.
    pub(super) default: Option<Budget>,
}

impl BudgetSubject {
    /// Returns the subject of a token, or of a person, by the digest of the principal.
    pub(crate) fn token(digest: &Digest, default: Option<Budget>) -> Self {
        Self { name: format!("token:{}", digest.to_hex()), default }
    }

    /// Returns the subject of an owner, by the email address.
    pub(crate) fn owner(email: &str, default: Option<Budget>) -> Self {
        Self { name: format!("owner:{}", email.to_ascii_lowercase()), default }
    }

    /// Returns the subject of a team.
    pub(crate) fn team(name: &str, default: Option<Budget>) -> Self {
        Self { name: format!("team:{name}"), default }
    }

    /// Returns the name, with the budget that the policy gives; `None` where it gives none.
    pub(crate) fn into_default(self) -> Option<(String, Budget)> {
        Some((self.name, self.default?))
    }
}

/// The slices that a worker looks after, and its calls.
#[derive(Default)]
pub(super) struct Leases {
    pub(super) active: BTreeMap<Digest, Active>,
    pub(super) calls: Vec<Call>,
    /// The number of the last call.
    pub(super) number: u64,
    /// The costs that could not be charged yet.
    pub(super) unsettled: Vec<(Reservation, Amount)>,
    /// The calls that were not made after all.
    pub(super) abandoned: Vec<Call>,
}

/// A subject with requests of this worker.
pub(super) struct Active {
    pub(super) subject: BudgetSubject,
    /// The reservations that are not settled.
    pub(super) held: u64,
    /// The sum of what requests need that wait for a call.
    pub(super) wanted: Amount,
    /// Set where the last call has failed.
    pub(super) has_failed: bool,
    pub(super) until: Moment,
}

/// A call on its way.
pub(super) struct Call {
    pub(super) number: u64,
    pub(super) at: Moment,
    /// The subjects, what is told of each, and the amount that a request needs.
    pub(super) told: Vec<(Digest, BudgetSubject, Told, u64)>,
}

impl Leases {
    /// Tells whether nothing is looked after, for tests.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_empty()
    }

    /// Returns the sum of what requests of a subject need that wait for a call.
    pub(super) fn wanted(&self, digest: &Digest) -> Amount {
        self.active.get(digest).map_or(Amount::NOTHING, |active| active.wanted)
    }

    pub(super) fn change_wanted(&mut self, digest: &Digest, change: impl Fn(Amount) -> Amount) {
        if let Some(active) = self.active.get_mut(digest) {
            active.wanted = change(active.wanted);
        }
    }

    /// Tells whether the last call for a subject has failed.
    pub(super) fn has_failed(&self, digest: &Digest) -> bool {
        self.active.get(digest).is_some_and(|active| active.has_failed)
    }

    /// Notes for the subjects of a call whether it has failed.
    pub(super) fn note(&mut self, call: &Call, has_failed: bool) {
        for (digest, ..) in &call.told {
            if let Some(active) = self.active.get_mut(digest) {
                active.has_failed = has_failed;
            }
        }
    }

    /// Looks after a subject for a while. Returns `None` where there are too many.
    pub(super) fn activate(
        &mut self,
        digest: Digest,
        subject: &BudgetSubject,
        now: Moment,
    ) -> Option<&mut Active> {
        if !self.active.contains_key(&digest) && self.active.len() >= MAX_ACTIVE {
            return None;
        }
        let active = self.active.entry(digest).or_insert_with(|| Active {
            subject: subject.clone(),
            held: 0,
            wanted: Amount::NOTHING,
            has_failed: false,
            until: now,
        });
        active.until = now.after(ACTIVE_TIME);
        // Another policy may have another default.
        if active.subject != *subject {
            active.subject = subject.clone();
        }
        Some(active)
    }
}
