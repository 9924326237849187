//! Resolutions of fetches: for a service, for the requests that wait, and for one request over its whole way.

use std::sync::Arc;

use super::fetch::{Fetch, FetchKey, FetchOutcome, Subject};
use crate::identity::CallerRecord;
use crate::limit::{Counted, Taken};

/// A value that a service has, or has to fetch first.
pub(crate) enum Lookup<T> {
    /// The value, and a call that is due and that no request waits for.
    Ready(T, Option<Fetch>),
    /// The call to make first.
    Fetch(Box<Fetch>),
    /// Neither: the service cannot answer now.
    Unavailable,
}

/// The resolution of a fetch, for each of the requests that wait for it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Resolution {
    /// The record of a token or a person.
    #[doc(hidden)]
    Record(Arc<CallerRecord>),
    /// The token or person does not exist.
    #[doc(hidden)]
    Unknown,
    /// The service has the value now: look again.
    #[doc(hidden)]
    Refreshed,
    /// The outcome of taking from a budget.
    #[doc(hidden)]
    Taken(Taken),
    /// No budgets are kept here: each counts as unlimited.
    #[doc(hidden)]
    Unlimited,
    /// The service cannot answer now, or the host cannot make the call.
    Unavailable,
    /// The answer was out of date: look again.
    #[doc(hidden)]
    Retry,
}

impl Fetch {
    /// Returns the resolution for a host that makes no calls, and only shows what would be decided. Budgets count as
    /// full or unlimited, and all else as unavailable.
    pub fn without_call(&self) -> Resolution {
        match &self.key.subject {
            Subject::Limit(charge) => Resolution::Taken(charge.of_full_budget(self.as_of.at)),
            Subject::Lease(_) => Resolution::Unlimited,
            _ => Resolution::Unavailable,
        }
    }
}

/// The outcome of a call, taken by the service that it was for.
pub struct Accepted {
    /// The outcome, for metrics.
    pub outcome: FetchOutcome,
    /// The resolution for every request that waits for this key.
    pub resolution: Resolution,
    /// Notes for operators: for the log.
    pub notes: Vec<String>,
}

impl Accepted {
    /// Returns the resolution, and the lines for the log; none for a healthy outcome without notes.
    pub fn into_parts(self, key: &FetchKey) -> (Resolution, impl Iterator<Item = String>) {
        let Self { outcome, resolution, notes } = self;
        let kind = key.kind();
        let line = format!("a fetch of kind `{kind}` did not succeed: {}", outcome.name());
        (resolution, (!outcome.is_healthy()).then_some(line).into_iter().chain(notes))
    }

    pub(crate) fn new(outcome: FetchOutcome, resolution: Resolution) -> Self {
        Self { outcome, resolution, notes: Vec::new() }
    }

    pub(crate) fn failed() -> Self {
        Self::new(FetchOutcome::Failed, Resolution::Unavailable)
    }
}

/// The most retries of a fetch whose answer was out of date.
pub(crate) const MAX_RETRIES: usize = 2;

/// The resolutions of one request that waited: all that is kept of it meanwhile.
#[derive(Default)]
pub(crate) struct FetchResults {
    resolutions: Vec<(FetchKey, Resolution)>,
    retries: usize,
}

impl FetchResults {
    pub(crate) fn add(&mut self, key: FetchKey, resolution: Resolution) {
        match resolution {
            Resolution::Retry if self.retries < MAX_RETRIES => self.retries += 1,
            Resolution::Retry => self.resolutions.push((key, Resolution::Unavailable)),
            resolution => self.resolutions.push((key, resolution)),
        }
    }

    /// Tells whether nothing was fetched, as for most requests.
    pub(crate) fn is_empty(&self) -> bool {
        self.resolutions.is_empty()
    }

    /// Tells whether this was fetched already.
    pub(crate) fn has(&self, key: &FetchKey) -> bool {
        self.resolutions.iter().any(|(fetched, _)| fetched == key)
    }

    /// Returns the resolution of a subject.
    pub(crate) fn of(&self, subject: &Subject) -> Option<&Resolution> {
        self.resolutions.iter().find(|(key, _)| key.subject == *subject).map(|(_, resolution)| resolution)
    }

    /// Returns the numbers and the resolutions of the request's lookups of objects, the last first.
    pub(crate) fn of_objects(&self) -> impl Iterator<Item = (u64, &Resolution)> {
        self.resolutions.iter().rev().filter_map(|(key, resolution)| match key.subject {
            Subject::Objects(number, _) => Some((number, resolution)),
            _ => None,
        })
    }

    /// Returns what was taken from a registry's budget for this request.
    pub(crate) fn counted(&self) -> Option<Counted> {
        let mut charges = self.resolutions.iter().filter(|(key, _)| matches!(key.subject, Subject::Limit(_)));
        charges.next().map(|(_, resolution)| match resolution {
            Resolution::Taken(taken) => Counted::Taken(*taken),
            _ => Counted::Unknown,
        })
    }

    /// Returns the call to make; unavailable where it was made for this request already and failed.
    pub(crate) fn fetch_once<T>(&self, fetch: Fetch) -> Lookup<T> {
        if self.has(&fetch.key) { Lookup::Unavailable } else { Lookup::Fetch(Box::new(fetch)) }
    }
}
